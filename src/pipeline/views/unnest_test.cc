// Rows of each element of a list, against those of a naive reading of lists that are known without
// their JSON; also after a restart, without repeats, and in the views over them.
#include "pipeline/streams/unnest.h"

#include <gtest/gtest.h>

#include <random>

#include "base/memory_budget.h"
#include "columns/batch_builder.h"
#include "columns/key.h"
#include "pipeline/pipeline_file.h"
#include "pipeline/streams/derived_streams.h"
#include "pipeline/views/capture_fixture.h"
#include "pipeline/views/replay_fixture.h"

namespace headrace::pipeline {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr base::StreamId kOrders{1};
constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    logicalType: object
    properties:
      - {name: id, logicalType: integer, required: true}
      - {name: lines, logicalType: array, physicalType: json}
      - {name: note, logicalType: string}
      - {name: placed_at, logicalType: timestamp, required: true}
)";
constexpr std::string_view kPipeline = R"(headrace: 1
pipeline: orders
promise: {budget: {p99: 200ms}}
clock: events
streams:
  orders: {contract: orders.yaml, source: {http: push}, time: {event: placed_at, late: 1m}}
  lines:
    from: orders
    unnest: {list: lines, at_most: 4, ordinal: line}
    derive: {sku: "element ->> 'sku'", n: cast(element ->> 'n' as bigint)}
    where: n > 3 or n is null
    drop: [element, note]
  kept: {from: orders, unnest: {list: lines, empty: kept, as: text, element: lines}}
  once: {from: lines, dedupe: {by: sku, within: 5s}}
views:
  sku:
    from: lines
    by: sku
    over: [20s, 2m]
    features: {rows: count(*), n: sum(n), last: last(id), line: last(line)}
  first:
    from: once
    by: sku
    over: [2m]
    features: {rows: count(*), n: sum(n), last: last(id), line: last(line)}
)";

PipelineRef OrdersPipeline() {
  const auto checked = CheckPipeline(
      "pipeline.yaml", kPipeline,
      [](const std::string&) -> base::Result<std::string> { return std::string(kContract); });
  for (const auto& diagnostic : checked.diagnostics)
    HR_CHECK(diagnostic.severity != contract::Severity::kError, diagnostic.message);
  return checked.definition;
}

struct Line {
  std::string sku;
  std::optional<int64_t> n;
};
struct Order {
  uint64_t epoch;
  int64_t id;
  int64_t at;
  std::optional<std::vector<Line>> lines;  // none: NULL
  std::string json;                        // as it was sent; empty: as `lines` say
};

class Orders {
 public:
  Orders(uint64_t seed, PipelineRef pipeline) : random_(seed), pipeline_(std::move(pipeline)) {}

  log::EpochRef Next() {
    ++epoch_;
    now += static_cast<int64_t>(random_() % 5) * kSecond;
    columns::BatchBuilder builder(pipeline_->streams[0].schema());
    const uint64_t count = random_() % 6;
    for (uint64_t i = 0; i < count; ++i) {
      const Order order = Draw();
      builder.column(0).AppendInt(order.id);
      if (order.lines) {
        builder.column(1).AppendText(order.json);
      } else {
        builder.column(1).AppendNull();
      }
      builder.column(2).AppendText("a note");
      builder.column(3).AppendInt(order.at);
      orders.push_back(order);
    }
    auto epoch = std::make_shared<log::Epoch>();
    epoch->id = {epoch_};
    epoch->clock = {now};
    if (count > 0) epoch->streams.push_back({kOrders, builder.Finish()});
    epochs.push_back(epoch);
    return epoch;
  }

  std::vector<Order> orders;
  std::vector<log::EpochRef> epochs;
  int64_t now = 1'000'000 * kSecond;

 private:
  Order Draw() {
    Order order{
        .epoch = epoch_,
        .id = static_cast<int64_t>(orders.size()),
        .at = now - static_cast<int64_t>(random_() % (random_() % 8 == 0 ? 60 : 3)) * kSecond,
        .lines = {},
        .json = {}};
    if (random_() % 8 == 0) return order;
    order.lines.emplace();
    if (random_() % 8 == 0) {
      static const char* const kNoLists[] = {"{}", "null", "[1", "7", ""};
      order.json = kNoLists[random_() % 5];
      return order;
    }
    for (uint64_t n = random_() % 7; n > 0; --n) {
      Line line{.sku = "s\"" + std::to_string(random_() % 4), .n = {}};
      if (random_() % 6 != 0) line.n = static_cast<int64_t>(random_() % 20);
      order.lines->push_back(line);
    }
    order.json = random_() % 2 == 0 ? "[" : "  [ ";
    for (const Line& line : *order.lines) {
      if (&line != &order.lines->front()) order.json += random_() % 2 == 0 ? "," : " ,\n";
      order.json += R"({"sku": "s\")" + line.sku.substr(2) + R"(", "n":)" +
                    (line.n ? std::to_string(*line.n) : "null") + "}";
    }
    order.json += " ] ";
    return order;
  }

  std::mt19937_64 random_;
  PipelineRef pipeline_;
  uint64_t epoch_ = 0;
};

struct NaiveRow {
  const Order* order;
  Line line;
  int64_t number;
};

std::vector<NaiveRow> NaiveLines(const std::vector<Order>& orders) {
  std::vector<NaiveRow> rows;
  for (const Order& order : orders) {
    int64_t number = 0;
    for (const Line& line : order.lines.value_or(std::vector<Line>())) {
      if (++number > 4) break;
      if (!line.n || *line.n > 3) rows.push_back({&order, line, number});
    }
  }
  return rows;
}

std::vector<NaiveRow> NaiveOnce(const std::vector<NaiveRow>& rows) {
  std::vector<NaiveRow> kept;
  for (const NaiveRow& row : rows)
    if (std::ranges::none_of(kept, [&](const NaiveRow& other) {
          return other.line.sku == row.line.sku &&
                 std::abs(other.order->at - row.order->at) <= 5 * kSecond;
        }))
      kept.push_back(row);
  return kept;
}

std::string NaiveAnswer(const std::vector<NaiveRow>& rows, const std::string& sku, int64_t as_of,
                        int64_t seconds) {
  int64_t count = 0;
  std::optional<int64_t> sum;
  const NaiveRow* last = nullptr;
  bool known = false;
  for (const NaiveRow& row : rows) {
    if (row.line.sku != sku || row.order->at > as_of) continue;
    known = true;
    if (row.order->at <= as_of - seconds * kSecond) continue;
    ++count;
    if (row.line.n) sum = sum.value_or(0) + *row.line.n;
    if (last == nullptr || row.order->at >= last->order->at) last = &row;
  }
  if (!known) return "NOT_FOUND";
  const auto shown = [](const std::optional<int64_t>& value) {
    return value ? std::to_string(*value) : std::string("null");
  };
  const bool any = last != nullptr;
  return std::to_string(count) + " " + shown(sum) + " " +
         shown(any ? std::optional(last->order->id) : std::nullopt) + " " +
         shown(any ? std::optional(last->number) : std::nullopt);
}

class Engine {
 public:
  explicit Engine(PipelineRef pipeline)
      : pipeline_(std::move(pipeline)), views(pipeline_, budget_, clock_) {
    views.BindStream(0, kOrders);
  }
  // Of the outputs of window `window` of `windows`.
  std::string Answer(size_t view, const std::string& sku, int64_t as_of, size_t window,
                     size_t windows) {
    const auto pin = views.PinNewest();
    if (!pin) return pin.error().ToString();
    columns::KeyBytes key;
    columns::AppendKeyValue(key, columns::Value::String(sku));
    const auto answer = views.Get(*pin, view, key, {as_of});
    if (!answer) return answer.error().ToString();
    if (answer->statuses[0] == FeatureStatus::kNotFound) return "NOT_FOUND";
    std::string text;
    for (size_t feature = 0; feature < 4; ++feature)
      text += (feature == 0 ? "" : " ") + answer->values[feature * windows + window].ToJson();
    return text;
  }

 private:
  PipelineRef pipeline_;
  base::MemoryBudget budget_{1ULL << 40};
  fixture::ManualClock clock_;

 public:
  ViewSet views;
};

TEST(Unnest, ViewsSeeEachElementAlsoAfterARestart) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const PipelineRef pipeline = OrdersPipeline();
    Orders orders(seed, pipeline);
    std::mt19937_64 random(seed);
    Engine engine(pipeline);
    for (int step = 0; step < 40; ++step) engine.views.Apply({{orders.Next()}});
    size_t calls = 0;
    const auto captured = fixture::CaptureAll(engine.views, 50 + 400 * (seed % 3), [&] {
      if (calls % (seed % 4 + 1) == 0 && calls < 60) engine.views.Apply({{orders.Next()}});
      ++calls;
    });
    Engine restored(pipeline);
    fixture::Restore(restored.views, captured, orders.epochs);
    for (int step = 0; step < 20; ++step) {
      const auto lines = NaiveLines(orders.orders);
      const auto once = NaiveOnce(lines);
      for (int i = 0; i < 5; ++i) {
        const std::string sku = "s\"" + std::to_string(i);
        const int64_t as_of = orders.now - static_cast<int64_t>(random() % 60) * kSecond;
        const auto of = [&](Engine& asked) {
          return asked.Answer(0, sku, as_of, 0, 2) + ", " + asked.Answer(0, sku, as_of, 1, 2) +
                 ", " + asked.Answer(1, sku, as_of, 0, 1);
        };
        const std::string naive = NaiveAnswer(lines, sku, as_of, 20) + ", " +
                                  NaiveAnswer(lines, sku, as_of, 120) + ", " +
                                  NaiveAnswer(once, sku, as_of, 120);
        ASSERT_EQ(of(engine), naive) << "seed " << seed << " step " << step;
        ASSERT_EQ(of(restored), naive)
            << "restored, seed " << seed << " step " << step << " captured " << captured.after.value
            << " to " << captured.through.value;
      }
      const log::EpochRef epoch = orders.Next();
      engine.views.Apply({{epoch}});
      restored.views.Apply({{epoch}});
    }
    const auto before = engine.views.derived_status();
    const auto after = restored.views.derived_status();
    for (size_t stream = 0; stream < before.size(); ++stream)
      EXPECT_EQ(before[stream].counts.rows, after[stream].counts.rows) << "seed " << seed;
    EXPECT_EQ(before[0].counts.rows.rows_out, NaiveLines(orders.orders).size());
  }
}

// Each row once, in the order of events and of their lists, in its epoch; and what is counted.
TEST(Unnest, MakesARowOfEachElement) {
  const PipelineRef pipeline = OrdersPipeline();
  Orders orders(99, pipeline);
  Engine engine(pipeline);
  std::vector<std::string> lines;
  std::vector<std::string> kept;
  const auto read_into = [](std::vector<std::string>& rows) {
    return
        [&rows](base::EpochId epoch, const columns::ColumnBatch& batch, std::span<const int64_t>) {
          for (size_t row = 0; row < batch.rows(); ++row) {
            std::string text = std::to_string(epoch.value);
            for (const columns::Column& column : batch.columns())
              text += " " + column.At(row).ToJson();
            rows.push_back(std::move(text));
          }
        };
  };
  engine.views.ReadDerived(*pipeline->StreamNamed("lines"), read_into(lines));
  engine.views.ReadDerived(*pipeline->StreamNamed("kept"), read_into(kept));
  for (int step = 0; step < 200; ++step) engine.views.Apply({{orders.Next()}});
  const auto at = [](int64_t us) { return columns::Value::Timestamp(us).ToJson(); };
  const auto number = [](const std::optional<int64_t>& n) {
    return n ? std::to_string(*n) : std::string("null");
  };
  std::vector<std::string> wanted;
  for (const NaiveRow& row : NaiveLines(orders.orders))
    wanted.push_back(std::to_string(row.order->epoch) + " " + std::to_string(row.order->id) + " " +
                     at(row.order->at) + " " + std::to_string(row.number) + " " +
                     columns::Value::String(row.line.sku).ToJson() + " " + number(row.line.n));
  EXPECT_EQ(lines, wanted);
  wanted.clear();
  UnnestCounts counts;
  UnnestCounts few;  // of `lines`, with at_most
  for (const Order& order : orders.orders) {
    const std::string begin = std::to_string(order.epoch) + " " + std::to_string(order.id) + " ";
    const std::string end = " \"a note\" " + at(order.at) + " ";
    if (!order.lines || order.json == "null") ++counts.null_lists;
    const bool list = order.lines && order.json.find('[') != std::string::npos &&
                      order.json.find(']') != std::string::npos;
    if (order.lines && order.json != "null" && !list) ++counts.not_lists;
    if (list && order.lines->empty()) ++counts.empty;
    if (!list || order.lines->empty()) {
      wanted.push_back(begin + "null" + end + "null");
      continue;
    }
    counts.elements += order.lines->size();
    few.elements += std::min<size_t>(4, order.lines->size());
    few.left_out += order.lines->size() - std::min<size_t>(4, order.lines->size());
    for (size_t i = 0; i < order.lines->size(); ++i) {
      const Line& line = (*order.lines)[i];
      const std::string element = "{\"sku\":" + columns::Value::String(line.sku).ToJson() +
                                  ",\"n\":" + number(line.n) + "}";
      wanted.push_back(begin + columns::Value::String(element).ToJson() + end +
                       std::to_string(i + 1));
    }
  }
  EXPECT_EQ(kept, wanted);
  const auto status = engine.views.derived_status();
  EXPECT_EQ(status[1].counts.rows.unnest, counts);
  few.empty = counts.empty;
  few.null_lists = counts.null_lists;
  few.not_lists = counts.not_lists;
  EXPECT_EQ(status[0].counts.rows.unnest, few);
  EXPECT_GT(few.left_out, 20U);
  EXPECT_GT(counts.not_lists, 5U);
}

// What an epoch's rows may become is limited, whatever the lists say of themselves.
TEST(Unnest, LeavesOutWhatIsBeyondAnEpochsLimit) {
  const PipelineRef pipeline = OrdersPipeline();
  const Derivation& kept = *pipeline->streams[*pipeline->StreamNamed("kept")].derivation;
  std::string list = "[1";
  for (int i = 1; i < 100; ++i) list += ",1";
  list += "]";
  columns::BatchBuilder builder(kept.input);
  constexpr size_t kRows = kUnnestedRowsMax / 100 + 2;
  for (size_t row = 0; row < kRows; ++row) {
    builder.column(0).AppendInt(1);
    builder.column(1).AppendText(list);
    builder.column(2).AppendText("");
    builder.column(3).AppendInt(1);
  }
  UnnestCounts counts;
  const auto [rows, from, size] = Unnested(kept, builder.Finish(), counts);
  EXPECT_EQ(rows.rows(), kUnnestedRowsMax);
  EXPECT_EQ(size.rows, kUnnestedRowsMax);
  EXPECT_EQ(size.text, kUnnestedRowsMax);
  EXPECT_EQ(counts.elements, kUnnestedRowsMax);
  EXPECT_EQ(counts.left_out, kRows * 100 - kUnnestedRowsMax);
  EXPECT_EQ(from.back(), kUnnestedRowsMax / 100);
}

// So is the text in them: a note that stands beside a list is there once for each element.
TEST(Unnest, LeavesOutWhatAnEpochHasNoRoomFor) {
  const PipelineRef pipeline = OrdersPipeline();
  const Derivation& kept = *pipeline->streams[*pipeline->StreamNamed("kept")].derivation;
  columns::BatchBuilder builder(kept.input);
  for (const size_t note : {400, 300, 0}) {
    builder.column(0).AppendInt(1);
    builder.column(1).AppendText("[1,22,333]");
    builder.column(2).AppendText(std::string(note, 'n'));
    builder.column(3).AppendInt(1);
  }
  UnnestCounts counts;
  // Three of 400 and one of 300, with their elements; the next one has one byte too many.
  const auto [rows, from, size] = Unnested(kept, builder.Finish(), counts, 1808);
  EXPECT_EQ(size.text, 1507U);
  EXPECT_EQ(from, (std::vector<uint32_t>{0, 0, 0, 1}));
  EXPECT_EQ(rows.rows(), 4U);
  EXPECT_EQ(counts.elements, 4U);
  EXPECT_EQ(counts.left_out, 5U);
  // Whoever makes some of its columns alone has to know that of the others.
  const auto ordinal = kept.schema->IndexOf("ordinal");
  ASSERT_TRUE(ordinal.has_value());
  const std::vector<size_t> read = InputFieldsOf(kept, {*ordinal});
  EXPECT_TRUE(std::ranges::find(read, size_t{2}) != read.end());
}

// While an epoch's lists are rows, the budget has them: nothing else is let in beyond it.
TEST(Unnest, RowsAreChargedBeforeTheyAreMade) {
  const PipelineRef pipeline = OrdersPipeline();
  const size_t orders = *pipeline->StreamNamed("orders");
  const size_t kept = *pipeline->StreamNamed("kept");
  std::string list = R"([")" + std::string(50, 'a') + R"(")";
  for (int i = 1; i < 100; ++i) list += R"(, "a longer element")";
  list += "]";
  columns::BatchBuilder builder(pipeline->streams[orders].schema());
  for (int row = 0; row < 1000; ++row) {
    builder.column(0).AppendInt(row);
    builder.column(1).AppendText(list);
    builder.column(2).AppendText(std::string(200, 'n'));
    builder.column(3).AppendInt(row);
  }
  base::MemoryBudget budget(16 << 20);
  const auto let_in = [&] {
    return budget.TryCharge(base::MemoryAccount::kIngest, 1 << 20).has_value();
  };
  DerivedStreams derived(*pipeline, budget);
  std::vector<columns::ColumnBatch> batches(pipeline->streams.size());
  batches[orders] = builder.Finish();
  EXPECT_TRUE(let_in());
  derived.Apply({1}, batches);
  EXPECT_EQ(batches[kept].rows(), 100'000U);
  uint64_t bytes = 0;
  for (const columns::Column& column : batches[kept].columns()) bytes += column.ByteSize();
  EXPECT_GE(budget.used_bytes(base::MemoryAccount::kState), bytes);
  EXPECT_FALSE(let_in());
  // And a step later they are gone.
  derived.SettleCharges();
  EXPECT_LT(budget.used_bytes(base::MemoryAccount::kState), 1U << 20);
  EXPECT_TRUE(let_in());
}

}  // namespace
}  // namespace headrace::pipeline
