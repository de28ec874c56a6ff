#pragma once
// For tests: the answers of the events pipeline recomputed naively.

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "columns/key.h"
#include "pipeline/aggregates/decay.h"
#include "pipeline/aggregates/distinct_values.h"
#include "pipeline/aggregates/quantile_buckets.h"
#include "pipeline/aggregates/reference_spread.h"
#include "pipeline/aggregates/reference_sum.h"
#include "pipeline/views/answer.h"
#include "pipeline/views/events_pipeline.h"

namespace headrace::pipeline::fixture {

// ---- The naive oracle: sorts the rows of a window and computes each aggregate from its
// definition. ----

inline std::optional<double> Number(const Event& event, const std::string& argument) {
  if (argument == "x") return event.x ? std::optional(static_cast<double>(*event.x)) : std::nullopt;
  if (argument == "i") return event.i ? std::optional(static_cast<double>(*event.i)) : std::nullopt;
  if (argument == "f") return event.f;
  if (argument == "x / 480.0")
    return event.x ? std::optional(static_cast<double>(*event.x) / 480.0) : std::nullopt;
  return std::nullopt;
}

inline std::optional<bool> Condition(const Event& event, const std::string& argument) {
  if (argument == "b") return event.b;
  if (!event.x) return std::nullopt;
  return argument == "x > 10" ? *event.x > 10 : *event.x > 480;
}

// The value of an argument as an answer of its type.
inline Value ArgumentValue(const Event& event, const std::string& argument) {
  if (argument == "s") return event.s ? Value::String(*event.s) : Value::Null(Type::kString);
  if (argument == "b") return event.b ? Value::Bool(*event.b) : Value::Null(Type::kBool);
  if (argument == "x") return event.x ? Value::Int64(*event.x) : Value::Null(Type::kInt64);
  if (argument == "i")
    return event.i ? Value(Type::kInt32, int64_t{*event.i}) : Value::Null(Type::kInt32);
  return event.f ? Value::Float64(*event.f) : Value::Null(Type::kFloat64);
}

// Less in the order that min and max use.
inline bool Less(const Value& a, const Value& b) {
  if (a.type() == Type::kString) return a.as_text() < b.as_text();
  if (a.type() == Type::kBool) return a.as_bool() < b.as_bool();
  if (a.type() != Type::kFloat64) return a.as_int() < b.as_int();
  if (std::isnan(a.as_double())) return false;
  if (std::isnan(b.as_double())) return true;
  if (a.as_double() == b.as_double())
    return std::signbit(a.as_double()) && !std::signbit(b.as_double());
  return a.as_double() < b.as_double();
}

inline bool AllFinite(const std::vector<Event>& rows, const Feature& feature) {
  return std::all_of(rows.begin(), rows.end(), [&](const Event& event) {
    const auto v = Number(event, feature.argument);
    return !v || std::isfinite(*v);
  });
}

inline Value NaiveSum(const std::vector<Event>& rows, const Feature& feature, bool mean,
                      FeatureStatus& status) {
  const bool integers = feature.argument == "x" || feature.argument == "i";
  __int128 sum = 0;
  ReferenceSum exact;
  ReferenceSum scaled;
  size_t count = 0;
  for (const Event& event : rows) {
    const auto v = Number(event, feature.argument);
    if (!v) continue;
    ++count;
    if (integers) {
      sum += feature.argument == "x" ? *event.x : *event.i;
    } else {
      exact.Add(*v);
      scaled.Add(*v * 0x1p-64);
    }
  }
  if (count == 0) return Value::Null(mean || !integers ? Type::kFloat64 : Type::kInt64);
  if (mean && !integers && std::isinf(exact.Round()) && AllFinite(rows, feature))
    return Value::Float64(scaled.Round() / static_cast<double>(count) * 0x1p64);
  if (mean)
    return Value::Float64((integers ? static_cast<double>(sum) : exact.Round()) /
                          static_cast<double>(count));
  if (!integers) return Value::Float64(exact.Round());
  if (sum != static_cast<int64_t>(sum)) {
    status = FeatureStatus::kInvalid;
    return Value::Null(Type::kInt64);
  }
  return Value::Int64(static_cast<int64_t>(sum));
}

inline Value NaiveSpread(const std::vector<Event>& rows, const Feature& feature) {
  const bool deviation =
      feature.kind == AggregateKind::kStddevSamp || feature.kind == AggregateKind::kStddevPop;
  const bool sample =
      feature.kind == AggregateKind::kStddevSamp || feature.kind == AggregateKind::kVarSamp;
  std::vector<double> doubles;
  std::vector<int64_t> integers;
  bool finite = true;
  for (const Event& event : rows) {
    const auto v = Number(event, feature.argument);
    if (!v) continue;
    doubles.push_back(*v);
    if (feature.argument == "x") integers.push_back(*event.x);
    finite = finite && std::isfinite(*v);
  }
  if (doubles.size() < (sample ? 2U : 1U)) return Value::Null(Type::kFloat64);
  if (!finite) return Value::Float64(std::bit_cast<double>(0x7ff8000000000000ULL));
  const Spread spread = deviation ? Spread::kDeviation : Spread::kVariance;
  const Divisor divisor = sample ? Divisor::kSample : Divisor::kPopulation;
  return Value::Float64(integers.empty() ? ReferenceSpread(doubles, spread, divisor)
                                         : ReferenceSpread(integers, spread, divisor));
}

inline Value NaiveDistinct(const std::vector<Event>& rows, const Feature& feature) {
  std::set<std::string> values;
  for (const Event& event : rows) {
    Value v = ArgumentValue(event, feature.argument);
    if (v.is_null()) continue;
    if (v.type() == Type::kFloat64 && v.as_double() == 0) v = Value::Float64(0.0);
    values.insert(v.ToJson());
  }
  if (feature.kind == AggregateKind::kCountDistinct || values.size() <= kExactDistinctMax)
    return Value::Int64(static_cast<int64_t>(values.size()));
  HyperLogLog registers(feature.register_bits);  // of doubles: there are so many of no other
  for (const Event& event : rows) {
    if (!event.f) continue;
    const auto cell = std::bit_cast<uint64_t>(*event.f);
    const uint64_t value = ValueCell(CellKind::kDouble, {.cells = &cell}, 0);
    registers.Add(HashOfValue(CellKind::kDouble, value));
  }
  return Value::Int64(static_cast<int64_t>(registers.Estimate()));
}

// When and over what is asked.
struct Span {
  int64_t as_of;
  int64_t window_us;  // 0: for ever
};

inline Value NaiveRate(const std::vector<Event>& rows, const Feature& feature, const Span& span) {
  const double seconds = static_cast<double>(span.window_us) / 1e6;
  if (feature.argument.empty()) return Value::Float64(static_cast<double>(rows.size()) / seconds);
  __int128 integers = 0;
  ReferenceSum doubles;
  bool any = false;
  for (const Event& event : rows) {
    any = any || Number(event, feature.argument).has_value();
    if (feature.argument == "x" && event.x) integers += *event.x;
    if (feature.argument == "f" && event.f) doubles.Add(*event.f);
  }
  if (!any) return Value::Null(Type::kFloat64);
  return Value::Float64(
      (feature.argument == "x" ? static_cast<double>(integers) : doubles.Round()) / seconds);
}

// The values that count, as distinct counts see them; oldest row first.
inline std::vector<Value> ValuesOf(const std::vector<Event>& rows, const Feature& feature) {
  std::vector<Value> values;
  for (const Event& event : rows) {
    Value v = ArgumentValue(event, feature.argument);
    if (!v.is_null()) values.push_back(std::move(v));
  }
  return values;
}

inline void MakeEqual(std::vector<Value>& values) {
  for (Value& v : values) {
    if (v.type() != Type::kFloat64) continue;
    if (v.as_double() == 0) v = Value::Float64(0.0);
    if (std::isnan(v.as_double())) v = Value::Float64(std::bit_cast<double>(0x7ff8000000000000ULL));
  }
}

inline Value NaiveList(const std::vector<Event>& rows, const Feature& feature) {
  const Type element = ArgumentValue(Event{}, feature.argument).type();
  std::vector<Value> values = ValuesOf(rows, feature);
  const bool counts = feature.kind == AggregateKind::kTopKCounts;
  if (values.empty()) return Value::Null(columns::ListOf(counts ? Type::kInt64 : element));
  if (feature.kind == AggregateKind::kFirstN || feature.kind == AggregateKind::kLastN) {
    const size_t some = std::min<size_t>(feature.size, values.size());
    const auto begin = feature.kind == AggregateKind::kFirstN
                           ? values.begin()
                           : values.end() - static_cast<ptrdiff_t>(some);
    return Value::List(element, {begin, begin + static_cast<ptrdiff_t>(some)});
  }
  MakeEqual(values);
  struct Seen {
    Value value;
    size_t count;
    size_t newest;  // the index of its newest row
  };
  std::vector<Seen> seen;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto same = std::find_if(seen.begin(), seen.end(),
                                   [&](const Seen& s) { return s.value.SameBits(values[i]); });
    if (same == seen.end()) {
      seen.push_back({values[i], 1, i});
    } else {
      ++same->count;
      same->newest = i;
    }
  }
  const bool set = feature.kind == AggregateKind::kValues;
  std::sort(seen.begin(), seen.end(), [&](const Seen& a, const Seen& b) {
    if (set) return a.newest > b.newest;
    return a.count != b.count ? a.count > b.count : Less(a.value, b.value);
  });
  if (seen.size() > feature.size) seen.erase(seen.begin() + feature.size, seen.end());
  if (set)
    std::sort(seen.begin(), seen.end(),
              [](const Seen& a, const Seen& b) { return Less(a.value, b.value); });
  Value::Elements elements;
  for (const Seen& s : seen)
    elements.push_back(counts ? Value::Int64(static_cast<int64_t>(s.count)) : s.value);
  return Value::List(counts ? Type::kInt64 : element, std::move(elements));
}

inline Value NaiveDecay(const std::vector<Event>& rows, const Feature& feature, const Span& span) {
  const bool count = feature.kind == AggregateKind::kDecayedCount;
  ReferenceSum sum;
  bool any = false;
  for (const Event& event : rows) {
    if (!feature.argument.empty() && ArgumentValue(event, feature.argument).is_null()) continue;
    any = true;
    const double weight = DecayWeight(static_cast<uint64_t>(span.as_of - event.at),
                                      static_cast<uint64_t>(feature.half_life.count()));
    if (weight != 0) sum.Add(count ? weight : *Number(event, feature.argument) * weight);
  }
  return any || count ? Value::Float64(sum.Round()) : Value::Null(Type::kFloat64);
}

inline Value NaiveQuantile(const std::vector<Event>& rows, const Feature& feature) {
  std::vector<Bucket> buckets;
  for (const Event& event : rows) {
    if (feature.argument == "x" && event.x) buckets.push_back(BucketOf(*event.x, 7));
    if (feature.argument == "i" && event.i) buckets.push_back(BucketOf(int64_t{*event.i}, 7));
    if (feature.argument == "f" && event.f) buckets.push_back(BucketOf(*event.f, 7));
  }
  if (buckets.empty()) return Value::Null(Type::kFloat64);
  std::sort(buckets.begin(), buckets.end());
  return Value::Float64(EdgeOf(buckets[NearestRank(feature.quantile, buckets.size()) - 1], 7));
}

inline Value NaiveEnd(const std::vector<Event>& rows, const Feature& feature, bool least) {
  std::optional<Value> best;
  for (const Event& event : rows) {
    const Value v = ArgumentValue(event, feature.argument);
    if (!v.is_null() && (!best || (least ? Less(v, *best) : Less(*best, v)))) best = v;
  }
  if (!best) return ArgumentValue(Event{}, feature.argument);
  if (best->type() == Type::kFloat64 && std::isnan(best->as_double()))
    return Value::Float64(std::bit_cast<double>(0x7ff8000000000000ULL));
  return *best;
}

// `rows`: of the window, that count, sorted by (event time, position).
inline Value NaiveUnbounded(const std::vector<Event>& rows, const Feature& feature,
                            const Span& span, FeatureStatus& status) {
  switch (feature.kind) {
    case AggregateKind::kCount: {
      const auto nulls = std::count_if(rows.begin(), rows.end(), [&](const Event& event) {
        return !feature.argument.empty() && ArgumentValue(event, feature.argument).is_null();
      });
      return Value::Int64(static_cast<int64_t>(rows.size()) - nulls);
    }
    case AggregateKind::kSum: return NaiveSum(rows, feature, false, status);
    case AggregateKind::kMean: return NaiveSum(rows, feature, true, status);
    case AggregateKind::kMin: return NaiveEnd(rows, feature, true);
    case AggregateKind::kMax: return NaiveEnd(rows, feature, false);
    case AggregateKind::kQuantile: return NaiveQuantile(rows, feature);
    case AggregateKind::kLast:
      return rows.empty() ? ArgumentValue(Event{}, feature.argument)
                          : ArgumentValue(rows.back(), feature.argument);
    case AggregateKind::kFirst:
      return rows.empty() ? ArgumentValue(Event{}, feature.argument)
                          : ArgumentValue(rows.front(), feature.argument);
    case AggregateKind::kVarSamp:
    case AggregateKind::kVarPop:
    case AggregateKind::kStddevSamp:
    case AggregateKind::kStddevPop: return NaiveSpread(rows, feature);
    case AggregateKind::kCountDistinct:
    case AggregateKind::kApproxDistinct: return NaiveDistinct(rows, feature);
    case AggregateKind::kRate: return NaiveRate(rows, feature, span);
    case AggregateKind::kFirstN:
    case AggregateKind::kLastN:
    case AggregateKind::kTopK:
    case AggregateKind::kTopKCounts:
    case AggregateKind::kValues: return NaiveList(rows, feature);
    case AggregateKind::kDecayedSum:
    case AggregateKind::kDecayedCount: return NaiveDecay(rows, feature, span);
    case AggregateKind::kTimeSinceLast:
      return rows.empty() ? Value::Null(Type::kFloat64)
                          : Value::Float64(static_cast<double>(span.as_of - rows.back().at) / 1e6);
    case AggregateKind::kShare: {
      double truths = 0;
      double known = 0;
      for (const Event& event : rows) {
        const auto holds = Condition(event, feature.argument);
        if (holds) ++known;
        if (holds.value_or(false)) ++truths;
      }
      return known == 0 ? Value::Null(Type::kFloat64) : Value::Float64(truths / known);
    }
  }
  return Value();
}

inline bool Sums(AggregateKind kind) {
  return kind == AggregateKind::kSum || kind == AggregateKind::kRate ||
         kind == AggregateKind::kDecayedSum || kind == AggregateKind::kVarSamp ||
         kind == AggregateKind::kVarPop || kind == AggregateKind::kStddevSamp ||
         kind == AggregateKind::kStddevPop;
}

inline Value NaiveValue(std::vector<Event> rows, const Feature& feature, const Span& span,
                        FeatureStatus& status) {
  if (!feature.where.empty())
    std::erase_if(
        rows, [&](const Event& event) { return !Condition(event, feature.where).value_or(false); });
  Value value = NaiveUnbounded(rows, feature, span, status);
  if (!Sums(feature.kind) || value.is_null() || value.type() != Type::kFloat64 ||
      !std::isinf(value.as_double()) || !AllFinite(rows, feature))
    return value;
  status = FeatureStatus::kInvalid;  // beyond float64
  return Value::Null(Type::kFloat64);
}

// Of a key's rows up to as_of, sorted, those of a window.
inline std::vector<Event> NaiveWindow(const std::vector<Event>& known, const Window& window,
                                      int64_t as_of) {
  const int64_t t = as_of - window.ending.count();
  const int64_t length = window.length.count();
  const auto between = [&](int64_t first, int64_t last) {
    std::vector<Event> rows;
    for (const Event& event : known)
      if (event.at >= first && event.at <= last) rows.push_back(event);
    return rows;
  };
  switch (window.kind) {
    case Window::Kind::kSliding: {
      const int64_t precision = window.precision.count();
      if (precision == 0) return between(t - length + 1, t);
      int64_t begin = (t - length) / precision * precision;
      while (begin <= t - length) begin += precision;
      return between(begin, t);
    }
    case Window::Kind::kTumbling: return between(t / length * length, t);
    case Window::Kind::kPreviousTumbling:
      return between(t / length * length - length, t / length * length - 1);
    case Window::Kind::kHopping: {
      const int64_t end = t / window.step.count() * window.step.count();
      return between(end - length, end - 1);
    }
    case Window::Kind::kLastRows: {
      std::vector<Event> rows = between(0, t);
      if (rows.size() > window.rows) rows.erase(rows.begin(), rows.end() - window.rows);
      return rows;
    }
    case Window::Kind::kSession:
    case Window::Kind::kLastSession: break;
  }
  std::vector<Event> rows = between(t - length + 1, t);
  if (window.kind == Window::Kind::kSession && !rows.empty() &&
      t - rows.back().at > window.step.count())
    return {};
  size_t begin = rows.size();
  while (begin > 0 &&
         (begin == rows.size() || rows[begin].at - rows[begin - 1].at <= window.step.count()))
    --begin;
  rows.erase(rows.begin(), rows.begin() + static_cast<ptrdiff_t>(begin));
  return rows;
}

// The answer over `rows`: all rows that the question may see, of all keys.
inline ViewAnswer NaiveAnswer(const ViewDefinition& view, const std::vector<Feature>& features,
                              const std::vector<Event>& all, const std::string& key,
                              std::optional<int64_t> region, int64_t as_of) {
  std::vector<Event> known;
  for (const Event& event : all) {
    if (event.key != key || event.at > as_of) continue;
    if (view.by.size() == 2 && event.region != region) continue;
    if (view.where && !(event.x && *event.x > 0)) continue;
    known.push_back(event);
  }
  std::sort(known.begin(), known.end(), [](const Event& a, const Event& b) {
    return std::tie(a.at, a.position) < std::tie(b.at, b.position);
  });
  const auto forgets = view.forgets_after();
  if (forgets && !known.empty() && as_of - known.back().at >= forgets->count()) known.clear();
  ViewAnswer answer;
  if (!known.empty()) answer.event_time = base::Timestamp{known.back().at};
  for (const OutputFeature& output : view.outputs) {
    const std::vector<Event> rows =
        view.lifetime() ? known : NaiveWindow(known, view.windows[output.window], as_of);
    FeatureStatus status = FeatureStatus::kPresent;
    const Span span{as_of, view.lifetime() ? 0 : view.windows[output.window].length.count()};
    Value value = known.empty() ? Value::Null(output.type)
                                : NaiveValue(rows, features[output.feature], span, status);
    if (known.empty()) {
      status = FeatureStatus::kNotFound;
    } else if (view.ttl && as_of - known.back().at > view.ttl->count()) {
      status = FeatureStatus::kOutsideMaxAge;
    } else if (status == FeatureStatus::kPresent && value.is_null()) {
      status = FeatureStatus::kNullValue;
    }
    answer.values.push_back(std::move(value));
    answer.statuses.push_back(status);
  }
  return answer;
}

// Empty when the answers have the same bits; else what differs.
inline std::string Difference(const ViewDefinition& view, const ViewAnswer& a,
                              const ViewAnswer& b) {
  if (a.event_time != b.event_time) return "event_time";
  for (size_t i = 0; i < view.outputs.size(); ++i) {
    if (a.statuses[i] == b.statuses[i] && a.values[i].SameBits(b.values[i])) continue;
    return view.outputs[i].name + ": " + a.values[i].ToJson() + " " +
           std::string(NameOf(a.statuses[i])) + " is not " + b.values[i].ToJson() + " " +
           std::string(NameOf(b.statuses[i]));
  }
  return "";
}

inline columns::KeyBytes KeyOf(const ViewDefinition& view, const std::string& key,
                               std::optional<int64_t> region) {
  columns::KeyBytes bytes;
  columns::AppendKeyValue(bytes, Value::String(key));
  if (view.by.size() == 2)
    columns::AppendKeyValue(bytes, region ? Value::Int64(*region) : Value::Null(Type::kInt64));
  return bytes;
}

}  // namespace headrace::pipeline::fixture
