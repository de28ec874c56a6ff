// Prints a digest of the bits that expressions give over seeded rows: one line a function, then all
// of them together. The last line is golden: a change of it is a change of every log's answers.

#include <bit>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>

#include "base/hash.h"
#include "columns/batch_builder.h"
#include "pipeline/expressions/expression.h"

namespace headrace::pipeline {
namespace {

using columns::Type;
using columns::Value;

constexpr size_t kRows = 3000;

uint64_t Fold(uint64_t digest, uint64_t value) { return base::Mix64(digest * 31 + value); }

// Any bits, and numbers such as people have; NaN in one form, as its bits mean nothing.
double AnyDouble(std::mt19937_64& random) {
  const double unit = static_cast<double>(random() >> 11) * 0x1p-53;
  switch (random() % 4) {
    case 0: return unit * 2 - 1;
    case 1: return (unit - 0.5) * 2000;
    case 2: return static_cast<double>(static_cast<int64_t>(random() % 400)) / 4 - 50;
    default: {
      const auto any = std::bit_cast<double>(random());
      return any == any ? any : 0;
    }
  }
}

columns::ColumnBatch Rows() {
  auto schema = std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{1, "x", Type::kFloat64},
                                  {2, "y", Type::kFloat64},
                                  {3, "n", Type::kInt64},
                                  {4, "s", Type::kString},
                                  {5, "t", Type::kTimestamp}});
  std::mt19937_64 random(20010101);
  columns::BatchBuilder builder(schema);
  for (size_t row = 0; row < kRows; ++row) {
    builder.column(0).AppendDouble(AnyDouble(random));
    builder.column(1).AppendDouble(AnyDouble(random));
    builder.column(2).AppendInt(static_cast<int64_t>(random() >> random() % 64));
    builder.column(3).AppendText("key " + std::to_string(random() % 1000) + " Z\u00fcrich");
    builder.column(4).AppendInt(static_cast<int64_t>(random() % 8'000'000'000'000'000ULL) -
                                4'000'000'000'000'000);
  }
  return builder.Finish();
}

uint64_t DigestOf(const Value& value) {
  if (value.is_null()) return 0xdead;
  switch (value.type()) {
    case Type::kFloat64:
      return value.as_double() == value.as_double() ? std::bit_cast<uint64_t>(value.as_double())
                                                    : 0x7ff8;
    case Type::kString: return base::Hash64(value.as_text());
    case Type::kBool: return value.as_bool() ? 1 : 0;
    default: return static_cast<uint64_t>(value.as_int());
  }
}

constexpr const char* kTexts[] = {
    "exp(x)",
    "ln(x)",
    "log2(x)",
    "log10(x)",
    "log(y, x)",
    "pow(x, y)",
    "pow(abs(x), y)",
    "sin(x)",
    "cos(x)",
    "tan(x)",
    "asin(x)",
    "acos(x)",
    "atan(x)",
    "atan2(y, x)",
    "radians(x)",
    "degrees(x)",
    "sqrt(x)",
    "round(x, 3)",
    "x % y",
    "x / y + x * y - x",
    "haversine(x % 90, y % 180, y % 90, x % 180)",
    "CAST(x AS string)",
    "CAST(CAST(x AS float32) AS float64)",
    "CAST(x AS int64)",
    "xxhash64(s, n, x)",
    "hash_bucket(s, 1000)",
    "md5(s)",
    "sha256(s)",
    "upper(s) || lower(reverse(s))",
    "levenshtein(s, upper(s))",
    "epoch(t)",
    "t AT TIME ZONE 'Europe/Berlin'",
    "(t AT TIME ZONE 'UTC') AT TIME ZONE 'America/New_York'",
    "strftime(t, '%a %d %b %Y %H:%M:%S.%f %V %G')",
    "date_trunc('week', t)",
    "date_add('month', n % 1000, t)",
};

int Run() {
  const columns::ColumnBatch rows = Rows();
  uint64_t together = 0;
  for (const char* text : kTexts) {
    auto expression = Expression::Compile(text, rows.schema());
    if (!expression) {
      std::printf("%s: %s\n", text, expression.error().message.c_str());
      return 1;
    }
    const columns::Column column = expression->Evaluate(rows);
    uint64_t digest = 0;
    for (size_t row = 0; row < column.length(); ++row)
      digest = Fold(digest, DigestOf(column.At(row)));
    std::printf("%s: %016llx\n", text, static_cast<unsigned long long>(digest));
    together = Fold(together, digest);
  }
  std::printf("digest %016llx\n", static_cast<unsigned long long>(together));
  return 0;
}

}  // namespace
}  // namespace headrace::pipeline

int main() { return headrace::pipeline::Run(); }
