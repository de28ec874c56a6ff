// 1. Each column is written in one go: room is made for all its rows, then statuses and times are
//    copied and numbers printed in place; only texts and lists ask for room of their own.
// 2. A time is formatted once for each row of a view, not for each of its features; what is that of
//    the column before, all of it or statuses and times, is copied from its text.
// 3. The names at the end are the same for all answers of a plan: a thread keeps them as text.
#include "serving/http/answer_json.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "columns/number_text.h"
#include "columns/value.h"
#include "serving/http/json_bytes.h"

namespace headrace::serving {
namespace {

using columns::Type;
using columns::Value;
using pipeline::FeatureStatus;

using columns::kNumberBytes;  // of any number, its comma included
constexpr size_t kStatusBytes = 24;
constexpr std::string_view kPresent = "\"PRESENT\",";

FeatureStatus Shown(FeatureStatus status, StatusMode mode) {
  const bool hidden =
      status == FeatureStatus::kNullValue || status == FeatureStatus::kOutsideMaxAge;
  return mode == StatusMode::kFeast && hidden ? FeatureStatus::kPresent : status;
}

int64_t WholeSeconds(int64_t us) { return us / 1'000'000 - (us % 1'000'000 < 0 ? 1 : 0); }

// A number in place; needs room for kNumberBytes.
void WriteInt(JsonBytes& out, int64_t value) {
  out.MoveTo(std::to_chars(out.at(), out.at() + kNumberBytes, value).ptr);
}

std::string& Scratch() {
  thread_local std::string scratch;
  scratch.clear();
  return scratch;
}

void AppendList(std::string& out, const Value& list, StatusMode mode) {
  out += '[';
  for (const Value& element : list.as_list()) {
    if (out.back() != '[') out += ',';
    if (mode == StatusMode::kFeast && element.type() == Type::kTimestamp)
      out += std::to_string(WholeSeconds(element.as_int()));
    else
      element.AppendJson(out);
  }
  out += ']';
}

// The number that each row had last: windows of a quiet key say the same one after the other.
class RowNumbers {
 public:
  explicit RowNumbers(size_t rows) : rows_(rows) {}
  // Needs room for kNumberBytes.
  void Write(JsonBytes& out, size_t row, double value) {
    Kept& kept = rows_[row];
    const auto bits = std::bit_cast<uint64_t>(value);
    if (kept.size > 0 && kept.bits == bits) return out.WriteAgain<kNumberBytes>(kept.at, kept.size);
    const size_t at = out.used();
    out.MoveTo(columns::WriteJsonNumber(out.at(), value));
    kept = {.bits = bits, .at = at, .size = out.used() - at};
  }

 private:
  struct Kept {
    uint64_t bits = 0;
    size_t at = 0;  // of its text
    size_t size = 0;
  };
  std::vector<Kept> rows_;
};

// With its comma. Needs room for kNumberBytes.
void WriteValue(JsonBytes& out, const Value& value, size_t row, FeatureStatus shown,
                StatusMode mode, RowNumbers& numbers) {
  const Type type = value.type();
  if (shown != FeatureStatus::kPresent || value.is_null()) {
    out.Write("null");
  } else if (type == Type::kInt64 || type == Type::kInt32) {
    WriteInt(out, value.as_int());
  } else if (columns::IsFloating(type) && std::isfinite(value.as_double())) {
    numbers.Write(out, row, value.as_double());
  } else if (mode == StatusMode::kFeast && type == Type::kTimestamp) {
    WriteInt(out, WholeSeconds(value.as_int()));
  } else {
    std::string& text = Scratch();
    columns::IsList(type) ? AppendList(text, value, mode) : value.AppendJson(text);
    out.Put(text);
    out.Room(kNumberBytes);
  }
  out.Write(',');
}

// Of a row, as it was last needed: neighbours in a row are mostly of one view and key.
class RowTimes {
 public:
  explicit RowTimes(size_t rows) : rows_(rows) {}
  static constexpr size_t kBytes = 40;  // of one in quotes, with its comma
  // Needs room for kBytes.
  void Write(JsonBytes& out, size_t row, const std::optional<base::Timestamp>& time) {
    if (!time) return out.Write(kNone);
    Kept& kept = rows_[row];
    if (kept.time != time) {
      const std::string text = "\"" + base::FormatTimestamp(*time) + "\",";
      kept.time = time;
      kept.size = std::min(text.size(), kBytes);
      std::memcpy(kept.text.data(), text.data(), kept.size);
    }
    std::memcpy(out.at(), kept.text.data(), kBytes);
    out.MoveTo(out.at() + kept.size);
  }

  static constexpr std::string_view kNone = "\"1970-01-01T00:00:00Z\",";

 private:
  struct Kept {
    std::optional<base::Timestamp> time;
    size_t size = 0;
    std::array<char, kBytes> text = {};
  };
  std::vector<Kept> rows_;
};

void WriteKeyColumn(JsonBytes& out, const InputColumn& key, RowNumbers& numbers) {
  const size_t rows = key.values.size();
  out.Put("{\"values\":[");
  for (size_t row = 0; row < rows; ++row) {
    out.Room(kNumberBytes);
    WriteValue(out, key.values[row], row, FeatureStatus::kPresent, StatusMode::kStrict, numbers);
  }
  out.Room(rows * (kPresent.size() + RowTimes::kNone.size()) + 64);
  out.CloseList();
  out.Write(",\"statuses\":[");
  for (size_t row = 0; row < rows; ++row) out.Write(kPresent);
  out.CloseList();
  out.Write(",\"event_timestamps\":[");
  for (size_t row = 0; row < rows; ++row) out.Write(RowTimes::kNone);
  out.CloseList();
  out.Write("},");
}

void WriteStatus(JsonBytes& out, FeatureStatus shown) {
  if (shown == FeatureStatus::kPresent) return out.Write(kPresent);
  out.Write('"');
  out.Write(pipeline::NameOf(shown));
  out.Write("\",");
}

// The columns of the features. One that says what the column before it said is its text again, as
// windows of a quiet key are; so are statuses and times that are those of the column before.
class FeatureColumns {
 public:
  FeatureColumns(const FeatureAnswer& answer, StatusMode mode)
      : answer_(answer), mode_(mode), times_(answer.rows) {}

  void Write(JsonBytes& out, size_t column, RowNumbers& numbers) {
    const bool same_end = column > 0 && EndsAsBefore(column);
    if (same_end && ValuesAsBefore(column)) return out.Repeat(begin_, end_ - begin_);
    const size_t begin = out.used();
    WriteValues(out, column, numbers);
    if (same_end) {
      out.DropComma();
      const size_t values_end = out.used();
      out.Repeat(values_end_, end_ - values_end_);
      values_end_ = values_end;
    } else {
      WriteEnd(out, column);
    }
    begin_ = begin;
    end_ = out.used();
  }

 private:
  void WriteValues(JsonBytes& out, size_t column, RowNumbers& numbers) const {
    out.Put("{\"values\":[");
    for (size_t row = 0; row < answer_.rows; ++row) {
      out.Room(kNumberBytes);
      const size_t at = answer_.At(row, column);
      WriteValue(out, answer_.values[at], row, Shown(answer_.statuses[at], mode_), mode_, numbers);
    }
  }
  // From the bracket that closes the values.
  void WriteEnd(JsonBytes& out, size_t column) {
    const size_t columns = answer_.columns->size();
    const size_t cells = answer_.rows * columns;
    out.Room(answer_.rows * (kStatusBytes + RowTimes::kBytes) + 64);
    out.CloseList();
    values_end_ = out.used() - 1;
    out.Write(",\"statuses\":[");
    for (size_t at = column; at < cells; at += columns)
      WriteStatus(out, Shown(answer_.statuses[at], mode_));
    out.CloseList();
    out.Write(",\"event_timestamps\":[");
    for (size_t row = 0; row < answer_.rows; ++row)
      times_.Write(out, row, answer_.EventTime(row, column));
    out.CloseList();
    out.Write("},");
  }
  // Whether `same(at, before)` of each row's places in a column and in the one before it.
  template <typename Same>
  bool OfAllRows(size_t column, Same same) const {
    const size_t columns = answer_.columns->size();
    const size_t cells = answer_.rows * columns;
    for (size_t at = column; at < cells; at += columns)
      if (!same(at, at - 1)) return false;
    return true;
  }
  bool EndsAsBefore(size_t column) const {
    const bool one_time = answer_.has_row_times();
    return OfAllRows(column, [&](size_t at, size_t before) {
      return Shown(answer_.statuses[at], mode_) == Shown(answer_.statuses[before], mode_) &&
             (one_time || answer_.event_times[at] == answer_.event_times[before]);
    });
  }
  bool ValuesAsBefore(size_t column) const {
    return OfAllRows(column, [&](size_t at, size_t before) {
      return answer_.values[at].SameBits(answer_.values[before]);
    });
  }

  const FeatureAnswer& answer_;
  const StatusMode mode_;
  RowTimes times_;
  // Where the text of the column before is.
  size_t begin_ = 0;
  size_t values_end_ = 0;
  size_t end_ = 0;
};

std::vector<const InputColumn*> KeysOf(const FeatureAnswer& answer) {
  std::vector<const InputColumn*> keys;
  for (const InputColumn& input : answer.inputs)
    if (input.use == InputColumn::Use::kJoinKey) keys.push_back(&input);
  return keys;
}

std::string MetadataJson(const std::vector<AnswerColumn>& columns, const FeastRequest& request,
                         const std::vector<const InputColumn*>& keys) {
  std::string out = "\"metadata\":{\"feature_names\":[";
  const auto add = [&](std::string_view name) {
    if (out.back() != '[') out += ',';
    columns::AppendJsonString(out, name);
  };
  for (const InputColumn* key : keys) add(key->name);
  for (const AnswerColumn& column : columns)
    add(request.full_feature_names ? column.full : column.shown);
  out += ']';
  if (request.view_metadata) {
    std::vector<std::string_view> views;
    for (const AnswerColumn& column : columns)
      if (!column.view.empty() && std::find(views.begin(), views.end(), column.view) == views.end())
        views.push_back(column.view);
    out += ",\"feature_view_metadata\":[";
    for (const std::string_view view : views) {
      out += out.back() == '[' ? "{\"name\":" : ",{\"name\":";
      columns::AppendJsonString(out, view);
      out += '}';
    }
    out += ']';
  }
  out += '}';
  return out;
}

// The metadata of answers that this thread made of late. An entry holds its columns, so that none
// of others comes to stand at their address.
class KeptMetadata {
 public:
  void Put(JsonBytes& out, const FeatureAnswer& answer, const FeastRequest& request,
           const std::vector<const InputColumn*>& keys) {
    Entry& entry = entries_[reinterpret_cast<uintptr_t>(answer.columns.get()) / 64 % kMetadataKept];
    if (entry.Is(answer, request, keys)) return out.Put(entry.text);
    std::string text = MetadataJson(*answer.columns, request, keys);
    out.Put(text);
    if (text.size() > kMetadataBytesMax) return;
    entry = {
        answer.columns, request.full_feature_names, request.view_metadata, {}, std::move(text)};
    for (const InputColumn* key : keys) entry.keys.push_back(key->name);
  }

 private:
  struct Entry {
    std::shared_ptr<const std::vector<AnswerColumn>> columns;
    bool full = false;
    bool views = false;
    std::vector<std::string> keys;
    std::string text;

    bool Is(const FeatureAnswer& answer, const FeastRequest& request,
            const std::vector<const InputColumn*>& asked) const {
      return columns == answer.columns && full == request.full_feature_names &&
             views == request.view_metadata &&
             std::equal(
                 keys.begin(), keys.end(), asked.begin(), asked.end(),
                 [](const std::string& name, const InputColumn* key) { return name == key->name; });
    }
  };
  std::array<Entry, kMetadataKept> entries_;
};

// What stays from answer to answer; as text.
class KeptOrigin {
 public:
  std::string_view Of(const FeatureAnswer& answer) {
    if (text_.empty() || log_ != answer.log || definition_ != answer.definition ||
        clock_ != answer.clock) {
      log_ = answer.log;
      definition_ = answer.definition;
      clock_ = answer.clock;
      text_ = ",\"log\":\"" + log_.ToString() + "\",\"definition\":\"" + definition_.ToString() +
              "\",\"clock\":\"" + (clock_ == log::ClockMode::kEvents ? "events" : "wall") + "\"}}";
    }
    return text_;
  }

 private:
  base::LogId log_;
  base::DefinitionId definition_;
  log::ClockMode clock_ = log::ClockMode::kWall;
  std::string text_;
};

void PutProvenance(JsonBytes& out, const FeatureAnswer& answer) {
  thread_local KeptOrigin origin;
  out.Room(160);
  out.Write(",\"headrace\":{\"epoch\":");
  WriteInt(out, static_cast<int64_t>(answer.epoch.value));
  out.Write(",\"as_of\":\"");
  out.Write(base::FormatTimestamp(answer.as_of));
  out.Write("\",\"lag_ms\":");
  if (const auto lag = LagSinceHeard(answer.lag, answer.as_of))
    WriteInt(out, lag->count() / 1000);
  else
    out.Write(answer.lag ? R"(null,"lag_status":"NEVER_HEARD")"
                         : R"(null,"lag_status":"NOT_LOOKED_UP")");
  out.Put(origin.Of(answer));
}

}  // namespace

std::string FeastAnswerJson(const FeatureAnswer& answer, const FeastRequest& request) {
  thread_local KeptMetadata metadata;
  const std::vector<const InputColumn*> keys = KeysOf(answer);
  const size_t features = answer.columns->size();
  JsonBytes out(1024 + (keys.size() + features) * (96 + answer.rows * 48));
  RowNumbers numbers(answer.rows);
  FeatureColumns columns(answer, request.mode);
  out.Put("{\"results\":[");
  for (const InputColumn* key : keys) WriteKeyColumn(out, *key, numbers);
  for (size_t i = 0; i < features; ++i) columns.Write(out, i, numbers);
  out.Room(2);
  out.CloseList();
  out.Write(',');
  metadata.Put(out, answer, request, keys);
  PutProvenance(out, answer);
  return out.Take();
}

}  // namespace headrace::serving
