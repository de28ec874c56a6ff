#pragma once
// Random programs and data for property tests: the same seed gives the same ones.

#include <array>
#include <limits>
#include <random>
#include <string>

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
                                     {"t", Type::kTimestamp}})
      fields.push_back({static_cast<uint32_t>(fields.size() + 1), name, type});
    schema_ = std::make_shared<const columns::Schema>(std::move(fields));
  }

  const columns::SchemaRef& schema() const { return schema_; }
  std::string Text() {
    return Pick(kKinds) == 'n' ? Number(4) : Pick(kKinds) == 's' ? String(3) : Condition(4);
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
  static constexpr std::array kKinds = {'n', 's', 'c', 'c', 'n'};

  size_t Below(size_t n) { return random_() % n; }
  template <typename T, size_t N>
  T Pick(const std::array<T, N>& choices) {
    return choices[Below(N)];
  }
  using Texts = std::string;

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
    static const std::array<std::string, 6> kTexts = {"", "SEA", "sea", "12", "-1.5", "Zürich"};
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
    if (depth == 0 || Below(4) == 0) return Pick(kAtoms);
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
    if (depth == 0 || Below(4) == 0) return Pick(kAtoms);
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
    if (depth == 0 || Below(8) == 0) return Pick(kAtoms);
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
