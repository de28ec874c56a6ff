#pragma once
// A compiled expression: steps in order, each reading earlier ones, run over a chunk of rows at a
// time.
//
// 1. Every value is one of four machine types: bool as uint8_t, integers, dates and timestamps as
// int64_t, floats as double,
//    texts as string_view. Columns are widened on the way in and narrowed on the way out, which
//    loses nothing.
// 2. A step's nulls are bytes: 0 present, kIsNull, or kIsError (null because a cast, a division or
// an overflow failed). Strict
//    operators join them with `|`, so that a failure is seen at the end only if it made the result
//    null.
// 3. One row runs the same kernels as a column, with one row in the chunk: the bits can't differ.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "columns/batch.h"
#include "columns/type.h"
#include "columns/value.h"
#include "pipeline/expressions/expression.h"

namespace headrace::pipeline {

enum class MachineType : uint8_t { kBool, kInt, kFloat, kText };

constexpr MachineType MachineTypeOf(columns::Type type) {
  if (type == columns::Type::kBool) return MachineType::kBool;
  if (columns::IsFloating(type)) return MachineType::kFloat;
  return columns::IsVariable(type) ? MachineType::kText : MachineType::kInt;
}

constexpr uint8_t kIsPresent = 0;
constexpr uint8_t kIsNull = 1;
constexpr uint8_t kIsError = 3;  // includes the bit of kIsNull

// A type as expressions see it: a span of time is an int64 of microseconds, but must not be mixed
// up with a number.
struct ValueType {
  columns::Type type = columns::Type::kInt64;
  bool duration = false;
  bool any = false;  // of a bare NULL: fits everything
  bool operator==(const ValueType&) const = default;
};

class Frame;
struct Step;
using Kernel = void (*)(const Step&, Frame&);

// Something a kernel needs beside its arguments, made once when compiling (a regular expression, a
// set of values).
struct StepData {
  virtual ~StepData() = default;
};

struct Step {
  enum class Kind : uint8_t { kColumn, kConstant, kCompute };
  Kind kind = Kind::kCompute;
  ValueType type;
  size_t input = 0;                            // kColumn
  columns::Value constant;                     // kConstant
  columns::Type from = columns::Type::kInt64;  // of a conversion to text: what is converted
  Kernel kernel = nullptr;                     // kCompute
  std::vector<uint32_t> arguments;
  std::shared_ptr<const StepData> data;
  uint32_t self = 0;  // its own number

  MachineType machine() const { return MachineTypeOf(type.type); }
};

constexpr size_t kChunkRows =
    1024;  // all of a small program's values stay in the first cache levels
constexpr size_t kStepsMax = 4096;
constexpr size_t kMadeTextBytesMax = 8 << 10;  // of a text that is made; longer is NULL

// The values of a step in a chunk: `stride` 0 means one value for all rows.
template <typename T>
struct Values {
  const T* data = nullptr;
  size_t stride = 1;
  T operator[](size_t row) const { return data[row * stride]; }
};

// The values of all steps of a program over one chunk. Not thread-safe; lives as long as one
// evaluation.
class Frame {
 public:
  Frame(const std::vector<Step>& steps, size_t rows_max);

  size_t rows() const { return rows_; }
  void set_rows(size_t rows) { rows_ = rows; }

  template <typename T>
  Values<T> In(uint32_t step) const {
    return {static_cast<const T*>(slots_[step].values), slots_[step].stride};
  }
  // Where a kernel writes its result: rows() values.
  template <typename T>
  T* Out(uint32_t step) {
    slots_[step].values = slots_[step].own_values;
    return static_cast<T*>(slots_[step].own_values);
  }
  // rows() bytes, or null when nothing is null.
  const uint8_t* Nulls(uint32_t step) const { return slots_[step].nulls; }
  void SetNulls(uint32_t step, const uint8_t* nulls) { slots_[step].nulls = nulls; }
  // Bytes of its own for a step that makes nulls; not cleared.
  uint8_t* OwnNulls(uint32_t step);
  // Gives a step values that live elsewhere (a column's buffer).
  void Borrow(uint32_t step, const void* values, size_t stride) {
    slots_[step].values = values;
    slots_[step].stride = stride;
  }

  // One value for all rows, null or not.
  void SetConstant(uint32_t step, bool null);

  // Sets the step's nulls to its arguments' joined nulls.
  void JoinNulls(const Step& step);
  // Room for a text that a kernel makes; lives until the chunk is done. Null for one longer than
  // kMadeTextBytesMax: the row's value is then NULL by failure.
  char* Text(size_t bytes);
  // Gives back the last `bytes` of what Text gave last.
  void TakeBack(size_t bytes) { texts_.back().used -= bytes; }
  void ClearTexts();

 private:
  struct Slot {
    const void* values = nullptr;
    void* own_values = nullptr;
    const uint8_t* nulls = nullptr;
    uint8_t* own_nulls = nullptr;
    size_t stride = 1;
  };
  struct TextBlock {
    std::unique_ptr<char[]> bytes;
    size_t size = 0;
    size_t used = 0;
  };

  size_t rows_;
  size_t rows_max_;
  std::vector<Slot> slots_;
  std::unique_ptr<std::byte[]> memory_;
  std::vector<std::unique_ptr<uint8_t[]>> constant_nulls_;
  std::vector<TextBlock> texts_;
};

// Bytes that a value of a machine type takes in a frame.
size_t WidthOf(MachineType type);

// Runs every kCompute step; columns and constants have been put in place.
void RunKernels(const std::vector<Step>& steps, Frame& frame);
// Row `row` of the step as a Value of its type.
columns::Value ValueAt(const Step& step, const Frame& frame, size_t row);

// Puts rows [begin, begin + frame.rows()) of a column where `step` expects its values.
void LoadColumn(const Step& step, const columns::Column& column, size_t begin, Frame& frame);
// The same for one value.
void LoadValue(const Step& step, const columns::Value& value, Frame& frame);

struct Expression::Program {
  std::string text;
  std::vector<Step> steps;
  uint32_t root = 0;
  std::vector<size_t> inputs;
  bool uses_time_zones = false;
  std::atomic<uint64_t> errors{0};
};

}  // namespace headrace::pipeline
