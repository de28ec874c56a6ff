#include "window_queries.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "base/memory_budget.h"
#include "columns/key.h"
#include "contract/contract.h"
#include "pipeline/streams/derived_streams.h"
#include "pipeline/views/view_set.h"

namespace headrace::bench {
namespace {

using columns::ColumnBatch;
using columns::Value;
using pipeline::FeatureStatus;

constexpr int64_t kMillisecond = 1000;
constexpr int64_t kWindow = 10'000 * kMillisecond;

class StillClock final : public env::Clock {
 public:
  env::MonotonicTime Now() const override { return env::MonotonicTime{1}; }
  base::Timestamp Wall() const override { return {0}; }
};

// The views of a definition, over its one stream that comes in.
class Views {
 public:
  explicit Views(const pipeline::PipelineRef& definition)
      : definition_(definition), set_(definition, budget_, clock_) {
    set_.BindStream(0, kStream);
  }
  pipeline::ViewSet& set() { return set_; }
  const columns::Schema& stream() const { return *definition_->streams[0].schema(); }
  // In microseconds.
  int64_t newest() const { return newest_; }

  void Apply(ColumnBatch rows) {
    auto epoch = std::make_shared<log::Epoch>();
    const size_t time = definition_->streams[0].timing.event_time_field;
    for (const int64_t at : rows.column(time).Int64s()) newest_ = std::max(newest_, at);
    epoch->id = {++epochs_};
    epoch->clock = {newest_};
    epoch->streams.push_back({kStream, std::move(rows)});
    const log::EpochRef ref = std::move(epoch);
    set_.Apply({&ref, 1});
  }

  pipeline::ViewAnswer Ask(const char* view, const Value& key, int64_t as_of) {
    columns::KeyBytes bytes;
    columns::AppendKeyValue(bytes, key);
    const auto pin = set_.PinNewest();
    HR_CHECK(pin.has_value(), "nothing is visible");
    auto answer = set_.Get(*pin, *definition_->ViewNamed(view), bytes, {as_of});
    HR_CHECK(answer.has_value(), answer ? "" : answer.error().ToString());
    return std::move(*answer);
  }

 private:
  static constexpr base::StreamId kStream{1};
  const pipeline::PipelineRef definition_;
  StillClock clock_;
  base::MemoryBudget budget_{16ULL << 30};
  pipeline::ViewSet set_;
  uint64_t epochs_ = 0;
  int64_t newest_ = 0;
};

// Asks as of each end of a window that holds a row.
class AskedAtEnds : public WindowQuery {
 protected:
  AskedAtEnds(const pipeline::PipelineRef& definition, int64_t step, Row row)
      : WindowQuery(std::move(row)), views_(definition), step_(step) {}

  void Apply(std::vector<ColumnBatch> streams) override {
    if (streams[0].rows() == 0) return;
    if (end_ == 0) {
      const size_t time = *views_.stream().IndexOf("at");
      end_ = (streams[0].column(time).Int64s()[0] / step_ + 1) * step_;
    }
    views_.Apply(std::move(streams[0]));
    AskUpTo(views_.newest());
  }
  void Finish() override { AskUpTo((views_.newest() / step_ + 1) * step_ + kWindow - step_); }
  virtual void Ask(int64_t end) = 0;

  Views views_;

 private:
  void AskUpTo(int64_t time) {
    for (; end_ <= time; end_ += step_) Ask(end_);
  }
  const int64_t step_;
  int64_t end_ = 0;  // of the next one
};

class HotItems final : public AskedAtEnds {
 public:
  HotItems(const pipeline::PipelineRef& definition, Row row)
      : AskedAtEnds(definition, 2000 * kMillisecond, std::move(row)) {}

 private:
  void Ask(int64_t end) override {
    const auto answer = views_.Ask("market", Value::Int64(1), end);
    if (answer.statuses[0] != FeatureStatus::kPresent) return;
    const auto& auctions = answer.values[0].as_list();
    const auto& bids = answer.values[1].as_list();
    size_t hot = 0;
    while (hot < auctions.size() && bids[hot].as_int() == bids[0].as_int()) ++hot;
    HR_CHECK(hot < 100, "more auctions are as hot as the first than were asked for");
    for (size_t i = 0; i < hot; ++i)
      Give([&] {
        return fmt::format(R"({{"auction":{},"bids":{},"ends":{}}})", auctions[i].as_int(),
                           bids[i].as_int(), end / kMillisecond);
      });
  }
};

class HighestBid final : public AskedAtEnds {
 public:
  HighestBid(const pipeline::PipelineRef& definition, Row row)
      : AskedAtEnds(definition, kWindow, std::move(row)) {}

 private:
  void Ask(int64_t end) override {
    const auto highest = views_.Ask("market", Value::Int64(1), end);
    if (highest.statuses[0] != FeatureStatus::kPresent) return;
    const Value& price = highest.values[0];
    const auto bids = views_.Ask("price", price, end);
    const size_t count = bids.values[0].as_list().size();
    HR_CHECK(count < 1000, "more bids have the highest price than were asked for");
    for (size_t i = 0; i < count; ++i)
      Give([&] {
        const auto of = [&](size_t feature) { return bids.values[feature].as_list()[i].ToJson(); };
        return fmt::format(
            R"({{"auction":{},"price":{},"bidder":{},"at":{},"extra":{},"ends":{}}})", of(0),
            price.as_int(), of(1), of(2), of(3), end / kMillisecond);
      });
  }
};

class NewUsers final : public WindowQuery {
 public:
  NewUsers(const pipeline::PipelineRef& definition, Row row)
      : WindowQuery(std::move(row)),
        definition_(definition),
        result_(*definition->StreamNamed("q8")),
        derived_(*definition, budget_) {}

 private:
  void Apply(std::vector<ColumnBatch> streams) override {
    streams.resize(definition_->streams.size());
    derived_.Apply({++epochs_}, streams);
    const ColumnBatch& rows = streams[result_];
    for (size_t row = 0; row < rows.rows(); ++row)
      Give([&] { return contract::RowToJson(rows, row); });
  }

  const pipeline::PipelineRef definition_;
  const size_t result_;
  base::MemoryBudget budget_{4ULL << 30};
  pipeline::DerivedStreams derived_;
  uint64_t epochs_ = 0;
};

// Keeps the answer as of the newest bid of each bidder, until one is of another window.
class ByBidder : public WindowQuery, public pipeline::RowAnswerReader {
 protected:
  struct Known {
    int64_t bids = 0;
    int64_t starts = 0;  // microseconds
    int64_t newest = 0;
  };
  ByBidder(const pipeline::PipelineRef& definition, Row row)
      : WindowQuery(std::move(row)),
        views_(definition),
        bidder_(*views_.stream().IndexOf("bidder")),
        at_(*views_.stream().IndexOf("at")) {
    views_.set().AnswerRows(0, this);
  }

  void Apply(std::vector<ColumnBatch> streams) override {
    rows_of_epoch_ = streams[0];
    views_.Apply(std::move(streams[0]));
  }
  void Take(base::EpochId, size_t, const pipeline::RowAnswers& answers) override {
    const auto bidders = rows_of_epoch_.column(bidder_).Int64s();
    const auto times = rows_of_epoch_.column(at_).Int64s();
    for (const uint32_t row : answers.rows()) {
      Known& known = known_[bidders[row]];
      const Known now = Read(answers, row, times[row]);
      if (known.bids != 0 && now.starts != known.starts) Whole(bidders[row], known);
      known = now;
    }
  }
  void Finish() override {
    for (const auto& [bidder, known] : known_) Whole(bidder, known);
  }
  virtual Known Read(const pipeline::RowAnswers& answers, uint32_t row, int64_t at) const = 0;
  virtual void Whole(int64_t bidder, const Known& known) = 0;

 private:
  Views views_;
  const size_t bidder_;
  const size_t at_;
  ColumnBatch rows_of_epoch_;
  std::unordered_map<int64_t, Known> known_;
};

class UserSessions final : public ByBidder {
 public:
  UserSessions(const pipeline::PipelineRef& definition, Row row)
      : ByBidder(definition, std::move(row)) {}

 private:
  Known Read(const pipeline::RowAnswers& answers, uint32_t row, int64_t at) const override {
    return {static_cast<int64_t>(answers.cell(row, 0)), static_cast<int64_t>(answers.cell(row, 1)),
            at};
  }
  void Whole(int64_t bidder, const Known& known) override {
    Give([&] {
      return fmt::format(R"({{"bidder":{},"bids":{},"starts":{},"ends":{}}})", bidder, known.bids,
                         known.starts / kMillisecond, (known.newest + kWindow) / kMillisecond);
    });
  }
};

class BidsOfWindows final : public ByBidder {
 public:
  BidsOfWindows(const pipeline::PipelineRef& definition, Row row)
      : ByBidder(definition, std::move(row)) {}

 private:
  Known Read(const pipeline::RowAnswers& answers, uint32_t row, int64_t at) const override {
    return {static_cast<int64_t>(answers.cell(row, 0)), at / kWindow * kWindow, at};
  }
  void Whole(int64_t bidder, const Known& known) override {
    Give([&] {
      return fmt::format(R"({{"bidder":{},"bids":{},"starts":{}}})", bidder, known.bids,
                         known.starts / kMillisecond);
    });
  }
};

}  // namespace

std::unique_ptr<WindowQuery> WindowQuery::Named(const std::string& name,
                                                const pipeline::PipelineRef& definition, Row row) {
  if (name == "q5") return std::make_unique<HotItems>(definition, std::move(row));
  if (name == "q7") return std::make_unique<HighestBid>(definition, std::move(row));
  if (name == "q8") return std::make_unique<NewUsers>(definition, std::move(row));
  if (name == "q11") return std::make_unique<UserSessions>(definition, std::move(row));
  if (name == "q12") return std::make_unique<BidsOfWindows>(definition, std::move(row));
  return nullptr;
}

}  // namespace headrace::bench
