#pragma once
// A documented subset of SQL over the columns of a batch or over one row: total (an error in a row
// is NULL, and counted), deterministic (no wall clock, no locale, no platform maths).
// docs/reference/expressions.md is generated from the registry.

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"

namespace headrace::pipeline {

// What kind of mistake it is, so that diagnostics can give it a code.
enum class ExpressionErrorKind : uint8_t {
  kSyntax,
  kType,
  kUnknownColumn,
  kUnknownFunction,
  kNotInThisVersion
};

// Where in an expression's text something is wrong: bytes [begin, end).
struct ExpressionError {
  size_t begin = 0;
  size_t end = 0;
  std::string message;                  // "no column `ammount` in payments"
  std::vector<std::string> candidates;  // "amount": nearest names first
  ExpressionErrorKind kind = ExpressionErrorKind::kSyntax;
};

// Compiled and typed. Immutable; any thread may evaluate it (the error counter is atomic).
class Expression {
 public:
  // `inputs` names what the text may use; names may be qualified with dots
  // ("origin.mean_delay_1h").
  static std::expected<Expression, ExpressionError> Compile(std::string_view text,
                                                            const columns::SchemaRef& inputs);

  Expression(Expression&&) noexcept;
  Expression& operator=(Expression&&) noexcept;
  ~Expression();

  const std::string& text() const;
  columns::Type type() const;
  // Indexes of the inputs that it reads, ascending, each once.
  const std::vector<size_t>& inputs() const;

  // One value a row. `batch` has the schema given to Compile. A plain column reference shares the
  // batch's buffers.
  columns::Column Evaluate(const columns::ColumnBatch& batch) const;
  // The same, but rows in which it fails are added to `errors`, and not to errors(). A batch with
  // only the first columns of the schema will do when the expression reads no others.
  columns::Column Evaluate(const columns::ColumnBatch& batch, uint64_t& errors) const;
  // One row: `row[i]` is the value of input i (only those in inputs() are read).
  columns::Value Evaluate(std::span<const columns::Value> row) const;

  // Rows in which a cast, a division, an overflow or a malformed text gave NULL, since compiled.
  uint64_t errors() const;
  // What the results depend on beside the text and the rows: "tz 2026f", or nothing. State of
  // another one is not used again.
  std::string semantics() const;

 private:
  struct Program;
  explicit Expression(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

}  // namespace headrace::pipeline
