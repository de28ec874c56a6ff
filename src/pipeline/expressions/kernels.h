#pragma once
// Loops over a chunk, made from operators on single values. An operator is a struct with
//   static R Do(A, B)          total: always gives a value, or
//   static bool Do(A, B, R*)   partial: false makes the row null by failure.

#include <cstring>
#include <tuple>
#include <utility>

#include "pipeline/expressions/program.h"

namespace headrace::pipeline {

// out[row] = f(a[row], b[row]), with loops of their own for a constant side so that the compiler
// can use wide instructions.
template <typename A, typename B, typename R, typename F>
void MapPairs(size_t rows, Values<A> a, Values<B> b, R* out, F f) {
  if (a.stride == 1 && b.stride == 1) {
    for (size_t row = 0; row < rows; ++row) out[row] = f(a.data[row], b.data[row]);
  } else if (a.stride == 1) {
    const B constant = *b.data;
    for (size_t row = 0; row < rows; ++row) out[row] = f(a.data[row], constant);
  } else {
    const A constant = *a.data;
    for (size_t row = 0; row < rows; ++row) out[row] = f(constant, b[row]);
  }
}

template <typename Op, typename A, typename R>
void Total1(const Step& step, Frame& frame) {
  const auto a = frame.In<A>(step.arguments[0]);
  R* out = frame.Out<R>(step.self);
  for (size_t row = 0; row < frame.rows(); ++row) out[row] = Op::Do(a[row]);
  frame.JoinNulls(step);
}

template <typename Op, typename A, typename B, typename R>
void Total2(const Step& step, Frame& frame) {
  MapPairs(frame.rows(), frame.In<A>(step.arguments[0]), frame.In<B>(step.arguments[1]),
           frame.Out<R>(step.self), [](A a, B b) { return Op::Do(a, b); });
  frame.JoinNulls(step);
}

// Takes over the failures of a partial operator: `failed` has rows() bytes, 1 where it failed on
// values that need not have been there.
inline void AddFailures(const Step& step, Frame& frame, const uint8_t* failed, uint8_t any) {
  frame.JoinNulls(step);
  if (any == 0) return;
  const uint8_t* joined = frame.Nulls(step.self);
  uint8_t* nulls = frame.OwnNulls(step.self);
  for (size_t row = 0; row < frame.rows(); ++row) {
    const uint8_t before = joined == nullptr ? kIsPresent : joined[row];
    nulls[row] = before == kIsPresent && failed[row] != 0 ? kIsError : before;
  }
}

template <typename Op, typename A, typename R>
void Partial1(const Step& step, Frame& frame) {
  const auto a = frame.In<A>(step.arguments[0]);
  R* out = frame.Out<R>(step.self);
  uint8_t failed[kChunkRows];
  uint8_t any = 0;
  for (size_t row = 0; row < frame.rows(); ++row)
    any |= failed[row] = Op::Do(a[row], out + row) ? 0 : 1;
  AddFailures(step, frame, failed, any);
}

template <typename Op, typename A, typename B, typename R>
void Partial2(const Step& step, Frame& frame) {
  const auto a = frame.In<A>(step.arguments[0]);
  const auto b = frame.In<B>(step.arguments[1]);
  R* out = frame.Out<R>(step.self);
  uint8_t failed[kChunkRows];
  uint8_t any = 0;
  for (size_t row = 0; row < frame.rows(); ++row)
    any |= failed[row] = Op::Do(a[row], b[row], out + row) ? 0 : 1;
  AddFailures(step, frame, failed, any);
}

// What an operator of Map is given beside its arguments.
struct RowContext {
  const Step& step;
  Frame& frame;
  template <typename D>
  const D& data() const {
    return static_cast<const D&>(*step.data);
  }
};

// The loop for what costs more than a few instructions: rows that are null already are passed over.
// An operator is a struct with
//   static uint8_t Do(const RowContext&, A..., R*)     kIsPresent, kIsNull or kIsError
template <typename Op, typename R, typename... A>
void Map(const Step& step, Frame& frame) {
  const auto run = [&]<size_t... kIndex>(std::index_sequence<kIndex...>) {
    const std::tuple<Values<A>...> in = {frame.In<A>(step.arguments[kIndex])...};
    frame.JoinNulls(step);
    const uint8_t* joined = frame.Nulls(step.self);
    R* out = frame.Out<R>(step.self);
    uint8_t* nulls = frame.OwnNulls(step.self);
    const RowContext context{step, frame};
    uint8_t any = kIsPresent;
    for (size_t row = 0; row < frame.rows(); ++row) {
      uint8_t null = joined == nullptr ? kIsPresent : joined[row];
      if (null == kIsPresent) null = Op::Do(context, std::get<kIndex>(in)[row]..., out + row);
      if (null != kIsPresent) out[row] = R{};
      any |= nulls[row] = null;
    }
    if (any == kIsPresent) frame.SetNulls(step.self, nullptr);
  };
  run(std::index_sequence_for<A...>{});
}

// A text that an operator makes, at most kMadeTextBytesMax long.
class MadeText {
 public:
  explicit MadeText(Frame& frame) : frame_(frame), begin_(frame.Text(kMadeTextBytesMax)) {}
  MadeText(const MadeText&) = delete;
  MadeText& operator=(const MadeText&) = delete;
  ~MadeText() { frame_.TakeBack(kMadeTextBytesMax - size_); }

  void Add(std::string_view text) {
    full_ |= text.size() > kMadeTextBytesMax - size_;
    if (full_ || text.empty()) return;
    std::memcpy(begin_ + size_, text.data(), text.size());
    size_ += text.size();
  }
  void Add(char c) { Add(std::string_view(&c, 1)); }
  // The null of a row whose value it is: a longer one is an error.
  uint8_t Finish(std::string_view* out) {
    if (full_) size_ = 0;
    *out = {begin_, size_};
    return full_ ? kIsError : kIsPresent;
  }

 private:
  Frame& frame_;
  char* begin_;
  size_t size_ = 0;
  bool full_ = false;
};

// Picks the instance of a template over the machine type: Pick<Select>(type) gives &Select<int64_t>
// and so on.
#define HEADRACE_PICK_BY_MACHINE(type, template_name)        \
  ((type) == MachineType::kBool    ? &template_name<uint8_t> \
   : (type) == MachineType::kInt   ? &template_name<int64_t> \
   : (type) == MachineType::kFloat ? &template_name<double>  \
                                   : &template_name<std::string_view>)

// The kernels, by family. Null for what there is none of.
Kernel ArithmeticKernel(std::string_view operation,
                        MachineType type);     // + - * / % and div, for kInt or kFloat
Kernel BitKernel(std::string_view operation);  // & | << >> and ~
Kernel NegateKernel(MachineType type);
Kernel AbsKernel(MachineType type);
Kernel RoundingKernel(std::string_view function);  // round floor ceil trunc sqrt, floats
Kernel ComparisonKernel(std::string_view operation, MachineType type);  // = <> < <= > >=
Kernel DistinctKernel(MachineType type);                                // IS DISTINCT FROM
Kernel LogicKernel(std::string_view operation);                         // and, or, not
Kernel IsNullKernel(std::string_view operation);                        // "is null", "is not null"
Kernel SelectKernel(MachineType type);    // CASE: condition, value, otherwise
Kernel CoalesceKernel(MachineType type);  // two arguments
Kernel NullIfKernel(MachineType type);
Kernel ExtremeKernel(std::string_view function,
                     MachineType type);  // least, greatest of two; a null is passed over
Kernel ConversionKernel(columns::Type from, columns::Type to);
Kernel TextKernel(std::string_view function);

// IN over constants, none of them null.
std::shared_ptr<const StepData> MakeConstantSet(const std::vector<columns::Value>& values);
Kernel InSetKernel(MachineType type);  // kInt or kText; the step's data is the set

}  // namespace headrace::pipeline
