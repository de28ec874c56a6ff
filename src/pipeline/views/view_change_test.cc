// A view set whose definition is changed again and again, and with it the contract of its stream,
// beside fresh ones that are given the same definitions and every epoch from the first on: all
// answers are equal, to the bit.

#include <gtest/gtest.h>

#include <cstdlib>

#include "columns/conform.h"
#include "pipeline/definition_diff.h"
#include "pipeline/pipeline_file.h"
#include "pipeline/views/replay_fixture.h"

namespace headrace::pipeline {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

constexpr size_t kKeys = 40;

template <size_t N>
const char* OneOf(std::mt19937_64& random, const std::array<const char*, N>& choices) {
  return choices[random() % N];
}

// Empty for a view over its life.
std::string RandomWindows(std::mt19937_64& random) {
  if (random() % 5 == 0) return "";
  std::string text;
  if (random() % 2 == 0)
    text += std::string(", over: ") + OneOf(random, std::array{"[10s]", "[10s, 1m]", "[1m, 5m]"});
  if (random() % 2 == 0 || text.empty())
    text += OneOf(random, std::array{", tumbling: [this 10s, previous 10s]", ", tumbling: this 1m",
                                     ", hopping: 30s every 7s", ", session: [this 2s, last 2s]",
                                     ", session: last 5s, within: 2m",
                                     ", tumbling: [this 1d, previous 1d], zone: Europe/Berlin"});
  if (random() % 4 == 0) text += ", ending: 20s ago";
  return text;
}

// Fields that the contract gets one after the other, before those that it has.
constexpr size_t kFieldsMore = 3;
constexpr std::array<const char*, kFieldsMore> kMore = {
    "      - {name: z1, logicalType: string}\n",
    "      - {name: z2, logicalType: integer, physicalType: int32}\n",
    "      - {name: z3, logicalType: number}\n"};
constexpr std::array<const char*, kFieldsMore> kFeaturesOfMore = {"last(z1)", "sum(z2)",
                                                                  "max(z3) where z2 > 0"};

// Most are over the stream that comes in, which has a history to build them from. `more`: fields
// that the contract has got.
std::string RandomView(std::mt19937_64& random, size_t more) {
  std::string text = "{from: ";
  const char* from = OneOf(random, std::array{"events", "events", "events", "large", "once"});
  text += from;
  text += ", by: ";
  text += OneOf(random, std::array{"key", "key", "[key, region]"});
  if (random() % 3 == 0)
    text += std::string(", where: ") + OneOf(random, std::array{"x > 0", "b", "f < 100.0"});
  const std::string windows = RandomWindows(random);
  const bool lifetime = windows.empty();
  text += windows;
  if (random() % 3 == 0) text += ", history: 30s";
  if (random() % 4 == 0) text += OneOf(random, std::array{", self: included", ", self: excluded"});
  if (random() % 4 == 0)
    text += OneOf(random, std::array{", last: {3: {recent: x}}",
                                     ", last: {2: {few: s}, 70: {many: sum(f), n: count(*)}}"});
  if (lifetime && text.find("last: {") != std::string::npos) return text + "}";
  text += ", features: {";
  for (int i = 0; i <= static_cast<int>(random() % 3); ++i) {
    const char* feature =
        lifetime ? OneOf(random, std::array{"last(x)", "last(s)", "last(f) where x > 480"})
                 : OneOf(random, std::array{"count(*)", "sum(x)", "sum(f)", "avg(f)", "min(x)",
                                            "max(f)", "last(s)", "first(i)", "count(*) where b"});
    if (!lifetime && more > 0 && from == std::string_view("events") && random() % 2 == 0)
      feature = kFeaturesOfMore[random() % more];
    text += std::string(i == 0 ? "" : ", ") + "f" + std::to_string(i) + ": " + feature;
  }
  return text + "}}";
}

// Views by name; a definition keeps those of the one before, or alters, drops and adds some.
using Views = std::map<std::string, std::string>;

Views Vary(std::mt19937_64& random, Views views, size_t more) {
  for (const char* name : {"a", "b", "c", "d"}) {
    const uint64_t dice = random() % 6;
    if (dice == 0) views.erase(name);
    if (dice == 1) views[name] = RandomView(random, more);
    if (dice == 2 && !views.contains(name)) views[name] = RandomView(random, more);
  }
  if (views.empty()) views["a"] = RandomView(random, more);
  return views;
}

std::string ContractWith(size_t more) {
  std::string contract(kContract);
  const size_t fields = contract.find("      - {name:");
  for (size_t i = 0; i < more; ++i) contract.insert(fields, kMore[i]);
  return contract;
}

PipelineRef Define(const Views& views, size_t more = 0) {
  std::string text =
      "headrace: 1\npipeline: changing\npromise: {budget: {p99: 200ms}}\nstreams:\n"
      "  events: {contract: events.yaml, source: {http: push}, time: {event: at, late: 1h}}\n"
      "  large: {from: events, where: x > 0, derive: {y: x * 2}" +
      std::array<std::string, kFieldsMore + 1>{"", ", drop: [z1]", ", drop: [z1, z2]",
                                               ", drop: [z1, z2, z3]"}[more] +
      "}\n"
      "  once: {from: large, dedupe: {by: key, within: 3s}}\n"
      "views:\n";
  for (const auto& [name, view] : views) text += "  " + name + ": " + view + "\n";
  const auto checked = CheckPipeline("pipeline.yaml", text, [&](const std::string&) {
    return base::Result<std::string>(ContractWith(more));
  });
  for (const contract::Diagnostic& diagnostic : checked.diagnostics)
    HR_CHECK(diagnostic.severity == contract::Severity::kWarning, diagnostic.message + "\n" + text);
  return checked.definition;
}

class Changing {
 public:
  explicit Changing(uint64_t seed)
      : random_(seed),
        written_(Vary(random_, {}, 0)),
        definition_(Define(written_)),
        views_(definition_, budget_, clock_) {
    views_.BindStream(0, kStream);
  }

  void Run() {
    for (int i = 0; i < 5 || epochs_.empty(); ++i) Step();
    for (int change = 0; change < 5 && !::testing::Test::HasFailure(); ++change) Change();
  }

 private:
  log::EpochRef NextEpoch() {
    now_ += static_cast<int64_t>(random_() % 4) * kSecond;
    std::vector<Event> events;
    for (uint64_t row = random_() % 40; row > 0; --row) {
      Event event = RandomEvent(random_, kKeys);
      event.at = now_ - static_cast<int64_t>(random_() % 2) * kSecond;  // many at the same time
      if (random_() % 10 == 0) event.at -= static_cast<int64_t>(random_() % 400) * kSecond;
      events.push_back(std::move(event));
    }
    auto epoch = std::make_shared<log::Epoch>(*ToEpoch(sent_, epochs_.size() + 1, now_, events));
    for (log::StreamRows& stream : epoch->streams) stream.rows = WithMore(stream.rows);
    return epoch;
  }

  // As rows of the schema that the log has now, with values for what it has got.
  columns::ColumnBatch WithMore(const columns::ColumnBatch& sent) {
    const columns::ColumnBatch rows = columns::ConformTo(logged_, sent);
    std::vector<columns::Column> columns = rows.columns();
    for (size_t i = 0; i < columns.size(); ++i) {
      if (sent.schema()->IndexOf(logged_->field(i).name)) continue;
      columns::ColumnBuilder builder(columns[i].type());
      for (size_t row = 0; row < rows.rows(); ++row) {
        const auto value = static_cast<int64_t>(random_() % 20) - 5;
        switch (value < 0 ? columns::Type::kBool : columns[i].type()) {
          case columns::Type::kString: builder.AppendText("z" + std::to_string(value)); break;
          case columns::Type::kInt32: builder.AppendInt(value); break;
          case columns::Type::kFloat64: builder.AppendDouble(static_cast<double>(value) / 3); break;
          default: builder.AppendNull();
        }
      }
      columns[i] = builder.Finish();
    }
    return {logged_, rows.rows(), std::move(columns)};
  }

  void Step(const HistoryRows* history = nullptr) {
    std::vector<log::EpochRef> epochs;
    for (uint64_t n = random_() % 3; n > 0; --n) {
      epochs.push_back(NextEpoch());
      epochs_.push_back(epochs.back());
    }
    if (epochs_.empty()) return;
    views_.Apply(epochs, history);
  }

  // History of epochs (read_, until] in pieces that end anywhere, with steps between them.
  void Build(uint64_t until) {
    while (read_ < until) BuildOfOneSchema(until);
  }
  void BuildOfOneSchema(uint64_t until) {
    std::vector<columns::ColumnBatch> batches;
    std::vector<columns::Position> positions;
    for (; read_ < until; ++read_) {
      const columns::ColumnBatch* rows = epochs_[read_]->RowsOf(kStream);
      if (rows == nullptr) continue;
      if (!batches.empty() && *batches.front().schema() != *rows->schema()) break;
      batches.push_back(*rows);
      for (size_t row = 0; row < rows->rows(); ++row)
        positions.push_back(columns::Position::Of(epochs_[read_]->id, row));
    }
    if (batches.empty()) return;
    const columns::ColumnBatch all = columns::ColumnBatch::Concat(batches);
    for (size_t begin = 0; begin < all.rows();) {
      const size_t end = std::min<size_t>(all.rows(), begin + 1 + random_() % 200);
      const HistoryRows piece{0,
                              all.Slice(begin, end),
                              {positions.begin() + static_cast<ptrdiff_t>(begin),
                               positions.begin() + static_cast<ptrdiff_t>(end)}};
      Step(&piece);
      begin = end;
    }
  }

  void Change() {
    const size_t more = std::min<size_t>(kFieldsMore, more_ + random_() % 2);
    const Views written = Vary(random_, random_() % 4 == 0 ? before_ : written_, more);
    const PipelineRef next = Define(written, more);
    ViewsSince since;
    for (const NamedDifference& view : Compare(*definition_, *next).views) {
      const base::EpochId began = SinceOf(since_, view.name);
      if (view.difference == ChangeKind::kUnchanged && began.value > 0) since[view.name] = began;
      const bool made =
          view.difference == ChangeKind::kAdded || view.difference == ChangeKind::kAltered;
      if (!made) continue;
      // What is derived has no history.
      const size_t stream = next->views[*next->ViewNamed(view.name)].stream;
      if (next->streams[stream].derived() || random_() % 4 == 0) since[view.name] = kSinceThisEntry;
    }
    views_.BeginChange(next, since);
    read_ = 0;
    Build(epochs_.size());
    if (random_() % 8 == 0) return views_.DropChange();
    more_ = more;
    const uint64_t aside = views_.PutAside().value;
    Step();
    Build(aside);
    while (views_.CatchUp() != ViewSet::CatchingUp::kDone) {
      const HistoryRows nothing;
      Step(&nothing);
    }
    Step();
    Compare1("before the cut-over");
    CutOver(next, since);
    before_ = std::exchange(written_, written);
    Compare1("at the cut-over");
    Step();
    Compare1("after the cut-over");
  }

  void CutOver(const PipelineRef& next, const ViewsSince& since) {
    const auto reader = views_.PinNewest();
    ASSERT_TRUE(reader.has_value());
    logged_ = next->streams[0].schema();
    auto epoch = std::make_shared<log::Epoch>(*NextEpoch());
    epoch->controls.push_back(EncodeEntry({.definition = next, .since = since, .before = {}}));
    epochs_.push_back(epoch);
    views_.Apply({{epoch}});
    // Who reads has what they began with.
    EXPECT_EQ(reader->definition(), definition_);
    EXPECT_FALSE(reader->revoked());
    const auto logged = DecodeEntry(epoch->controls[0], epoch->id);
    ASSERT_TRUE(logged.has_value());
    definition_ = next;
    since_ = logged->since;
    EXPECT_EQ(views_.current().definition, next);
    EXPECT_EQ(views_.current().since, since_);
  }

  void Compare1(const char* when) {
    ViewSet fresh(definition_, budget_, clock_, since_);
    fresh.BindStream(0, kStream);
    for (const log::EpochRef& epoch : epochs_) fresh.Apply({{epoch}});
    const auto pin = views_.PinNewest();
    const auto other = fresh.PinNewest();
    ASSERT_TRUE(pin.has_value() && other.has_value());
    ASSERT_EQ(pin->definition(), definition_);
    for (size_t view = 0; view < definition_->views.size(); ++view)
      for (size_t key = 0; key < kKeys; ++key) {
        const ViewDefinition& of = definition_->views[view];
        const base::Timestamp as_of{now_ - static_cast<int64_t>(random_() % 25) * kSecond};
        const auto bytes =
            KeyOf(of, "key-" + std::to_string(key), static_cast<int64_t>(random_() % 3));
        const auto here = views_.Get(*pin, view, bytes, as_of);
        const auto there = fresh.Get(*other, view, bytes, as_of);
        ASSERT_TRUE(here.has_value() && there.has_value());
        ASSERT_EQ(Difference(of, *here, *there), "") << when << ", view " << of.name;
        ASSERT_EQ(here->event_time, there->event_time) << when << ", view " << of.name;
      }
  }

  std::mt19937_64 random_;
  ManualClock clock_;
  base::MemoryBudget budget_{1ULL << 40};
  Views written_;
  Views before_ = written_;
  PipelineRef definition_;
  columns::SchemaRef sent_ = definition_->streams[0].schema();
  columns::SchemaRef logged_ = sent_;
  size_t more_ = 0;  // fields that the contract has got
  ViewsSince since_;
  ViewSet views_;
  std::vector<log::EpochRef> epochs_;
  uint64_t read_ = 0;
  int64_t now_ = 1'000'000 * kSecond;
};

TEST(ViewChange, AnswersAreThoseOfAFreshBuildOverTheWholeHistory) {
  const char* one = std::getenv("HEADRACE_SEED");
  const uint64_t first = one == nullptr ? 1 : std::strtoull(one, nullptr, 10);
  const uint64_t last = one != nullptr                                 ? first
                        : std::getenv("HEADRACE_TEST_LONG") != nullptr ? 3000
                                                                       : 60;
  for (uint64_t seed = first; seed <= last && !HasFailure(); ++seed) {
    SCOPED_TRACE("HEADRACE_SEED=" + std::to_string(seed) +
                 " headrace_pipeline_test --gtest_filter=ViewChange.*");
    Changing(seed).Run();
  }
}

TEST(ViewChange, AViewThatIsSaidAgainKeepsItsState) {
  ManualClock clock;
  base::MemoryBudget budget(1ULL << 40);
  const std::string view = "{from: events, by: key, over: [1m], features: {n: count(*)}}";
  const PipelineRef first = Define({{"a", view}});
  ViewSet views(first, budget, clock);
  views.BindStream(0, kStream);
  std::vector<Event> events(3, Event{.key = "k", .at = 5 * kSecond});
  views.Apply({{ToEpoch(first->streams[0].schema(), 1, 5 * kSecond, events)}});
  const PipelineRef second = Define({{"a", view}, {"b", view}});
  const auto needed = views.BeginChange(second, {});
  EXPECT_EQ(needed.kept, 1U);
  EXPECT_EQ(needed.views, std::vector<size_t>{1});
  views.CutOver();
  EXPECT_EQ(views.status()[0].rows, 3U);
  EXPECT_EQ(views.status()[1].rows, 0U);  // its history was not given
}

TEST(ViewChange, WhatAChangeTookAwayIsThereForAWayBack) {
  ManualClock clock;
  base::MemoryBudget budget(1ULL << 40);
  const PipelineRef first =
      Define({{"a", "{from: events, by: key, over: [1m], features: {n: count(*)}}"}});
  const PipelineRef second =
      Define({{"a", "{from: events, by: key, over: [1m], features: {n: sum(x)}}"}});
  ViewSet views(first, budget, clock);
  views.BindStream(0, kStream);
  const auto apply = [&](uint64_t id, const PipelineRef& logged) {
    std::vector<Event> events(1, Event{.key = "k", .at = 5 * kSecond});
    auto epoch =
        std::make_shared<log::Epoch>(*ToEpoch(first->streams[0].schema(), id, 5 * kSecond, events));
    if (logged) epoch->controls.push_back(EncodeEntry({.definition = logged, .before = {}}));
    views.Apply({{epoch}});
  };
  apply(1, nullptr);
  views.BeginChange(second, {{"a", kSinceThisEntry}});
  apply(2, second);
  EXPECT_EQ(views.definition().id, second->id);
  EXPECT_EQ(views.KeptUp(*first, {}), std::vector<std::string>{"a"});
  apply(3, nullptr);
  EXPECT_TRUE(views.BeginChange(first, {}).views.empty());
  apply(4, first);
  EXPECT_EQ(views.status()[0].rows, 4U);
  const uint64_t before = budget.used_bytes(base::MemoryAccount::kState);
  views.DropKept();
  const HistoryRows nothing;
  views.Apply({}, &nothing);
  EXPECT_LT(budget.used_bytes(base::MemoryAccount::kState), before);
}

// Asks in the middle of a step what there is to be read.
class LooksOn final : public RowAnswerReader {
 public:
  explicit LooksOn(ViewSet& views) : views_(views) {}
  void Take(base::EpochId epoch, size_t, const RowAnswers&) override {
    const auto pin = views_.PinNewest();
    if (!pin) return;
    ++looks;
    EXPECT_EQ(views_.current().definition->id, pin->definition()->id) << "in epoch " << epoch.value;
    EXPECT_TRUE(views_.IsVisible(*pin->definition()));
    EXPECT_EQ(views_.status().size(), pin->definition()->views.size());
  }
  size_t looks = 0;

 private:
  ViewSet& views_;
};

TEST(ViewChange, IsSeenOnceItsStepIs) {
  ManualClock clock;
  base::MemoryBudget budget(1ULL << 40);
  const std::string view = "{from: events, by: key, over: [1m], features: {n: count(*)}}";
  const PipelineRef first = Define({{"a", view}});
  const PipelineRef second = Define({{"a", view}, {"b", view}});
  ViewSet views(first, budget, clock);
  views.BindStream(0, kStream);
  LooksOn reader(views);
  views.AnswerRows(0, &reader);
  const auto epoch = [&](uint64_t id) {
    std::vector<Event> events(1, Event{.key = "k", .at = 5 * kSecond});
    return std::make_shared<log::Epoch>(
        *ToEpoch(first->streams[0].schema(), id, 5 * kSecond, events));
  };
  views.Apply({{epoch(1)}});
  views.BeginChange(second, {{"b", kSinceThisEntry}});
  const auto cut_over = epoch(2);
  cut_over->controls.push_back(EncodeEntry({.definition = second, .before = {}}));
  views.Apply({{cut_over, epoch(3)}});
  EXPECT_EQ(reader.looks, 2U);
  EXPECT_EQ(views.current().definition, second);
  views.AnswerRows(0, nullptr);
}

TEST(ViewChange, TooMuchPutAsideIsLetGo) {
  ManualClock clock;
  base::MemoryBudget budget(1ULL << 40);
  const std::string view = "{from: events, by: key, over: [1m], features: {n: count(*)}}";
  const PipelineRef first = Define({{"a", view}});
  ViewSet views(first, budget, clock);
  views.BindStream(0, kStream);
  views.BeginChange(Define({{"b", view}}), {});
  EXPECT_EQ(views.CatchUp(), ViewSet::CatchingUp::kLost);
  views.PutAside();
  EXPECT_EQ(views.CatchUp(), ViewSet::CatchingUp::kUnderWay);
  views.DropChange();
  views.BeginChange(Define({{"b", view}}), {});
  views.PutAside();
  std::vector<Event> events(ViewSet::kAsideRowsMax + 1, Event{.key = "k", .at = 5 * kSecond});
  views.Apply({{ToEpoch(first->streams[0].schema(), 1, 5 * kSecond, events)}});
  EXPECT_EQ(views.CatchUp(), ViewSet::CatchingUp::kLost);
}

TEST(ViewChange, WhatIsPutAsideIsChargedAsLongAsItIsKept) {
  ManualClock clock;
  base::MemoryBudget budget(1ULL << 40);
  const std::string view = "{from: events, by: key, over: [1m], features: {n: count(*)}}";
  const PipelineRef first = Define({{"a", view}});
  ViewSet views(first, budget, clock);
  views.BindStream(0, kStream);
  views.BeginChange(Define({{"b", view}}), {});
  views.PutAside();
  std::vector<Event> events(1000, Event{.key = "k", .at = 5 * kSecond});
  const log::EpochRef epoch = ToEpoch(first->streams[0].schema(), 1, 5 * kSecond, events);
  views.Apply({{epoch}});
  const uint64_t with = budget.used_bytes();
  views.DropChange();
  const HistoryRows nothing;
  views.Apply({}, &nothing);
  EXPECT_GE(with - budget.used_bytes(), epoch->RowsOf(kStream)->ByteSize());
}

}  // namespace
}  // namespace headrace::pipeline
