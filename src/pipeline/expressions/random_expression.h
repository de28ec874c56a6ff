#pragma once
// Random programs and data for property tests: the same seed gives the same ones.

#include <array>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "columns/batch_builder.h"

namespace headrace::pipeline {

// Not thread-safe. Texts are syntactically right; their types fit more often than not.
class RandomExpressions {
 public:
  explicit RandomExpressions(uint64_t seed) : random_(seed) {
    using columns::Type;
    std::vector<columns::Field> fields;
    for (const auto& [name, type] : {std::pair{"b", Type::kBool},
                                     {"i", Type::kInt32},
                                     {"n", Type::kInt64},
                                     {"g", Type::kFloat32},
                                     {"f", Type::kFloat64},
                                     {"s", Type::kString},
                                     {"d", Type::kDate},
                                     {"t", Type::kTimestamp},
                                     {"j", Type::kString}})
      fields.push_back({static_cast<uint32_t>(fields.size() + 1), name, type});
    schema_ = std::make_shared<const columns::Schema>(std::move(fields));
  }

  const columns::SchemaRef& schema() const { return schema_; }
  std::string Text() {
    switch (Pick(kKinds)) {
      case 'n': return Number(4);
      case 's': return String(3);
      case 't': return Time(3);
      default: return Condition(4);
    }
  }
  // A form with atoms for its arguments.
  std::string FormText(const std::string& form) { return Filled(form, 0); }
  // Forms in which each function stands, for a test that none is forgotten.
  static std::vector<std::string> Forms() {
    std::vector<std::string> forms;
    for (const auto* list : {&kNumbers, &kStrings, &kTimes, &kConditions})
      forms.insert(forms.end(), list->begin(), list->end());
    return forms;
  }

  std::string Bytes() {
    std::string text(Below(60), ' ');
    for (char& c : text) c = static_cast<char>(Below(3) == 0 ? Below(256) : 32 + Below(95));
    return text;
  }
  // A right text with a few bytes changed.
  std::string Damaged() {
    std::string text = Text();
    for (size_t i = 0; i < 1 + Below(3); ++i)
      text[Below(text.size())] = static_cast<char>(32 + Below(95));
    return text;
  }

  columns::ColumnBatch Batch(size_t rows) {
    columns::BatchBuilder builder(schema_);
    const bool nulls = Below(2) == 0;
    for (size_t row = 0; row < rows; ++row)
      for (size_t i = 0; i < schema_->size(); ++i)
        if (nulls && Below(5) == 0)
          builder.column(i).AppendNull();
        else
          AppendValue(builder.column(i));
    return builder.Finish();
  }

 private:
  using Texts = std::string;
  static constexpr std::array kKinds = {'n', 's', 'c', 't', 'n', 's'};

  // In a form, # is a number, & a small whole number, $ a text, ? a condition, @ a time.
  static inline const std::vector<std::string> kNumbers = {"abs(#)",
                                                           "round(#)",
                                                           "round(#, 2)",
                                                           "floor(#)",
                                                           "ceil(#)",
                                                           "trunc(#)",
                                                           "sqrt(#)",
                                                           "sign(#)",
                                                           "exp(#)",
                                                           "ln(#)",
                                                           "log(#, #)",
                                                           "log2(#)",
                                                           "log10(#)",
                                                           "pow(#, #)",
                                                           "sin(#)",
                                                           "cos(#)",
                                                           "tan(#)",
                                                           "asin(#)",
                                                           "acos(#)",
                                                           "atan(#)",
                                                           "atan2(#, #)",
                                                           "radians(#)",
                                                           "degrees(#)",
                                                           "pi()",
                                                           "haversine(#, #, #, #)",
                                                           "haversine(&, #, &, #)",
                                                           "div(n, &)",
                                                           "xor(n, &)",
                                                           "bit_count(n)",
                                                           "(n & i)",
                                                           "(n | i)",
                                                           "(n << &)",
                                                           "(n >> &)",
                                                           "(~n)",
                                                           "if(?, #, #)",
                                                           "coalesce(#, #)",
                                                           "nullif(#, #)",
                                                           "greatest(#, #)",
                                                           "least(#, #)",
                                                           "length($)",
                                                           "ascii($)",
                                                           "strpos($, $)",
                                                           "levenshtein($, $)",
                                                           "hour(@)",
                                                           "minute(@)",
                                                           "second(@)",
                                                           "day(@)",
                                                           "month(@)",
                                                           "year(@)",
                                                           "quarter(@)",
                                                           "week(@)",
                                                           "day_of_week(@)",
                                                           "day_of_year(@)",
                                                           "epoch(@)",
                                                           "epoch_ms(@)",
                                                           "date_part('century', @)",
                                                           "extract(millisecond FROM @)",
                                                           "date_diff('month', @, @)",
                                                           "date_diff('hour', @, @)",
                                                           "xxhash64(#, $, ?)",
                                                           "hash_bucket($, 16)",
                                                           "hash_bucket($, &)",
                                                           "json_array_length(j)",
                                                           "json_array_length(j, '$.a')",
                                                           "position('a' IN $)"};
  static inline const std::vector<std::string> kStrings = {
      "lower($)",
      "upper($)",
      "initcap($)",
      "trim($)",
      "ltrim($)",
      "rtrim($, $)",
      "left($, &)",
      "right($, &)",
      "lpad($, &, $)",
      "rpad($, &, $)",
      "repeat($, &)",
      "replace($, $, $)",
      "translate($, $, $)",
      "reverse($)",
      "split_part($, 'E', &)",
      "substr($, &)",
      "substr($, &, &)",
      "concat($, $)",
      "concat_ws($, $, $)",
      "chr(&)",
      "regexp_extract($, '([A-Z])(.)', 2)",
      "regexp_replace($, '[a-z]', '<\\0>', 'g')",
      "base64($)",
      "hex($)",
      "decode(unhex($))",
      "decode(from_base64($))",
      "decode(encode($))",
      "url_encode($)",
      "url_decode($)",
      "parse_url($, 'HOST')",
      "parse_url($, 'QUERY', 'a')",
      "md5($)",
      "sha256($)",
      "strftime(@, '%a %Y-%m-%d %H:%M:%S.%f %j %V')",
      "json_extract(j, '$.a')",
      "(j -> 'a' ->> 0)",
      "json_extract_string(j, '$.a[#-1]')",
      "if(?, $, $)",
      "coalesce($, $)",
      "CAST(# AS string)"};
  static inline const std::vector<std::string> kTimes = {"date_trunc('week', @)",
                                                         "date_trunc('quarter', @)",
                                                         "date_add('month', &, @)",
                                                         "date_add('hour', n, @)",
                                                         "(@ AT TIME ZONE 'Europe/Berlin')",
                                                         "timezone('Asia/Tokyo', @)",
                                                         "make_date(n, &, &)",
                                                         "make_timestamp(n, &, &, &, &, f)",
                                                         "epoch_us(n)",
                                                         "to_timestamp(#)",
                                                         "last_day(@)",
                                                         "strptime($, '%Y-%m-%d')",
                                                         "coalesce(@, @)",
                                                         "(@ + 90m)"};
  static inline const std::vector<std::string> kConditions = {"starts_with($, $)",
                                                              "ends_with($, $)",
                                                              "contains($, $)",
                                                              "regexp_matches($, '[a-z]+', 'i')",
                                                              "regexp_full_match($, '.*')",
                                                              "($ ILIKE '%e_%')",
                                                              "json_valid(j)",
                                                              "json_array_contains(j, $)",
                                                              "json_valid($)",
                                                              "isnan(#)",
                                                              "isinf(#)",
                                                              "isfinite(#)",
                                                              "(# IS DISTINCT FROM #)",
                                                              "($ IS NOT DISTINCT FROM $)",
                                                              "(@ < @)"};
  std::string Filled(const std::string& form, int depth) {
    std::string text;
    bool quoted = false;
    for (const char c : form) {
      if (c == '\'') quoted = !quoted;
      if (!quoted && c == '#')
        text += Number(depth);
      else if (!quoted && c == '$')
        text += String(depth);
      else if (!quoted && c == '?')
        text += Condition(depth);
      else if (!quoted && c == '@')
        text += Time(depth);
      else if (!quoted && c == '&' && form != "(n & i)")
        text += std::to_string(static_cast<int>(Below(14)) - 3);
      else
        text += c;
    }
    return text;
  }
  std::string FormOf(const std::vector<std::string>& forms, int depth) {
    return Filled(forms[Below(forms.size())], depth);
  }
  std::string Time(int depth) {
    static const std::array<Texts, 4> kAtoms = {"t", "d", "TIMESTAMP '2001-02-03T04:05:06Z'",
                                                "NULL"};
    if (depth <= 0 || Below(3) == 0) return Pick(kAtoms);
    return FormOf(kTimes, depth - 1);
  }

  size_t Below(size_t n) { return random_() % n; }
  template <typename T, size_t N>
  T Pick(const std::array<T, N>& choices) {
    return choices[Below(N)];
  }
  void AppendValue(columns::ColumnBuilder& builder) {
    using columns::Type;
    static constexpr std::array<int64_t, 8> kInts = {0,
                                                     1,
                                                     -1,
                                                     2,
                                                     15,
                                                     1000,
                                                     std::numeric_limits<int64_t>::max(),
                                                     std::numeric_limits<int64_t>::min()};
    static constexpr std::array<double, 9> kFloats = {0.0,
                                                      -0.0,
                                                      1.5,
                                                      -2.25,
                                                      1e300,
                                                      1e-300,
                                                      480.0,
                                                      std::numeric_limits<double>::infinity(),
                                                      std::numeric_limits<double>::quiet_NaN()};
    static const std::array<std::string, 10> kTexts = {
        "",           "SEA",
        "sea",        "12",
        "-1.5",       "Zürich",
        "2001-02-03", "{\"a\": [1, \"x\"]}",
        "{\"a\"",     "https://u@h.example:1/p?a=b#c"};
    switch (builder.type()) {
      case Type::kBool: builder.AppendBool(Below(2) == 0); break;
      case Type::kInt32:
      case Type::kDate: builder.AppendInt(static_cast<int32_t>(Below(20000)) - 10000); break;
      case Type::kFloat32:
      case Type::kFloat64: builder.AppendDouble(Pick(kFloats)); break;
      case Type::kString:
      case Type::kBytes: builder.AppendText(Pick(kTexts)); break;
      default: builder.AppendInt(Pick(kInts)); break;
    }
  }

  std::string Number(int depth) {
    static const std::array<Texts, 8> kAtoms = {"i", "n", "g", "f", "2", "0", "480.0", "NULL"};
    if (depth <= 0 || Below(4) == 0) return Pick(kAtoms);
    if (Below(2) == 0) return FormOf(kNumbers, depth - 1);
    static const std::array<Texts, 5> kOperators = {" + ", " - ", " * ", " / ", " % "};
    static const std::array<Texts, 5> kFunctions = {"abs", "round", "floor", "sqrt", "trunc"};
    static const std::array<Texts, 4> kTypes = {"int32", "int64", "float32", "float64"};
    switch (Below(9)) {
      case 0: return Pick(kFunctions) + "(" + Number(depth - 1) + ")";
      case 1:
        return "CASE WHEN " + Condition(depth - 1) + " THEN " + Number(depth - 1) + " ELSE " +
               Number(depth - 1) + " END";
      case 2: return "coalesce(" + Number(depth - 1) + ", " + Number(depth - 1) + ")";
      case 3: return "nullif(" + Number(depth - 1) + ", " + Number(depth - 1) + ")";
      case 4:
        return "CAST(" + (Below(3) == 0 ? String(depth - 1) : Number(depth - 1)) + " AS " +
               Pick(kTypes) + ")";
      case 5: return "greatest(" + Number(depth - 1) + ", " + Number(depth - 1) + ")";
      case 6: return "hour(t) + day_of_week(d) + length(" + String(depth - 1) + ")";
      default: return "(" + Number(depth - 1) + Pick(kOperators) + Number(depth - 1) + ")";
    }
  }

  std::string String(int depth) {
    static const std::array<Texts, 4> kAtoms = {"s", "'SEA'", "NULL", "''"};
    if (depth <= 0 || Below(4) == 0) return Pick(kAtoms);
    if (Below(2) == 0) return FormOf(kStrings, depth - 1);
    static const std::array<Texts, 3> kFunctions = {"lower", "upper", "trim"};
    switch (Below(5)) {
      case 0: return Pick(kFunctions) + "(" + String(depth - 1) + ")";
      case 1: return "substr(" + String(depth - 1) + ", " + (Below(2) == 0 ? "2" : "n") + ", 2)";
      case 2:
        return "CAST(" + (Below(2) == 0 ? std::string("t") : Number(depth - 1)) + " AS string)";
      case 3: return "concat(" + String(depth - 1) + ", " + String(depth - 1) + ")";
      default: return "(" + String(depth - 1) + " || " + String(depth - 1) + ")";
    }
  }

  std::string Condition(int depth) {
    static const std::array<Texts, 4> kAtoms = {"b", "TRUE", "FALSE", "NULL"};
    if (depth <= 0 || Below(8) == 0) return Pick(kAtoms);
    if (Below(3) == 0) return FormOf(kConditions, depth - 1);
    static const std::array<Texts, 6> kOperators = {" = ", " <> ", " < ", " <= ", " > ", " >= "};
    switch (Below(8)) {
      case 0: return "(" + Condition(depth - 1) + " AND " + Condition(depth - 1) + ")";
      case 1: return "(" + Condition(depth - 1) + " OR " + Condition(depth - 1) + ")";
      case 2: return "NOT " + Condition(depth - 1);
      case 3: return "(" + String(depth - 1) + Pick(kOperators) + String(depth - 1) + ")";
      case 4: return "(" + Number(depth - 1) + " IS NULL)";
      case 5: return "(n IN (1, 2, 15, " + Number(depth - 1) + "))";
      case 6: return "(" + String(depth - 1) + " LIKE '%" + (Below(2) == 0 ? "e" : "_") + "%')";
      default: return "(" + Number(depth - 1) + Pick(kOperators) + Number(depth - 1) + ")";
    }
  }

  std::mt19937_64 random_;
  columns::SchemaRef schema_;
};

}  // namespace headrace::pipeline
