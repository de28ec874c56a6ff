#pragma once
// A small engine for this room's tests: a log, a publisher, the online views and the answer service
// on a simulated machine.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/simulated/environment.h"
#include "log/sequencer.h"
#include "pipeline/views/view_set.h"
#include "serving/answer.h"
#include "tables/publish/publisher.h"

namespace headrace::training::testing {

// One order; `at` is its event time, and it became known 3 seconds later.
struct Order {
  int64_t id;
  int64_t at_s;          // seconds after 2001-01-01T00:00:00Z
  std::string customer;  // empty: null
  int64_t amount;
};

inline constexpr const char* kDataFolder = "data";
inline constexpr const char* kAnswersFile = "data/answers.jsonl";
inline constexpr int64_t kStartUs = 978'307'200'000'000;
inline constexpr int64_t kArrivesAfterUs = 3'000'000;

// Views customer (10m, 1h: orders, spend, quarters = sum(amount / 4.0), p50), latest (last amount);
// on_request share and over (of the request's basket), joined (its member_since as it is); services
// checkout with all but that, and members with that and last amount, and
// joiners with that alone; fresh has a max_lag.
class Shop {
 public:
  explicit Shop(uint64_t seed);
  ~Shop();

  // Durable and visible when it returns.
  void Send(const std::vector<Order>& orders);
  // Everything durable is in the table when it returns.
  void Publish();
  // The log names the same file under `clock: wall`, as after a start with it.
  void NameWallClock();
  // Asks the service online; the answer goes into the answers file at WriteAnswers.
  serving::FeatureAnswer Ask(const std::string& customer, double basket);
  // A list of features without a service.
  serving::FeatureAnswer AskList(const std::string& customer,
                                 const std::vector<std::string>& features);
  void WriteAnswers();

  env::simulated::SimulatedEnvironment machine;
  pipeline::PipelineRef definition;
  std::unique_ptr<pipeline::ViewSet> views;
  std::string answers;  // the file's text so far

 private:
  serving::FeatureAnswer Ask(const serving::FeatureQuery& query);
  void LogDefinition(const pipeline::PipelineDefinition& named);

  base::MemoryBudget budget_{1ULL << 30};
  base::StreamId stream_;
  std::unique_ptr<log::Sequencer> sequencer_;
  std::unique_ptr<tables::Publisher> publisher_;
  std::unique_ptr<env::Executor> waiting_;
  std::unique_ptr<serving::AnswerService> service_;
};

}  // namespace headrace::training::testing
