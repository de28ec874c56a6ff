// Comparison, logic, and everything that chooses one of its arguments.
#include <algorithm>
#include <unordered_set>

#include "pipeline/expressions/kernels.h"

namespace headrace::pipeline {
namespace {

// NaN equals NaN and comes after every number, so that comparing is an order for floats too.
template <typename T>
bool Less(T a, T b) {
  if constexpr (std::is_same_v<T, double>)
    return a < b || (b != b && a == a);
  else
    return a < b;
}
template <typename T>
bool Equal(T a, T b) {
  if constexpr (std::is_same_v<T, double>)
    return a == b || (a != a && b != b);
  else
    return a == b;
}

struct IsEqual {
  template <typename T>
  static uint8_t Do(T a, T b) {
    return Equal(a, b);
  }
};
struct IsUnequal {
  template <typename T>
  static uint8_t Do(T a, T b) {
    return !Equal(a, b);
  }
};
struct IsLess {
  template <typename T>
  static uint8_t Do(T a, T b) {
    return Less(a, b);
  }
};
struct IsLessOrEqual {
  template <typename T>
  static uint8_t Do(T a, T b) {
    return !Less(b, a);
  }
};
struct IsMore {
  template <typename T>
  static uint8_t Do(T a, T b) {
    return Less(b, a);
  }
};
struct IsMoreOrEqual {
  template <typename T>
  static uint8_t Do(T a, T b) {
    return !Less(a, b);
  }
};

template <typename Op>
Kernel Compare(MachineType type) {
  switch (type) {
    case MachineType::kBool: return &Total2<Op, uint8_t, uint8_t, uint8_t>;
    case MachineType::kInt: return &Total2<Op, int64_t, int64_t, uint8_t>;
    case MachineType::kFloat: return &Total2<Op, double, double, uint8_t>;
    case MachineType::kText: return &Total2<Op, std::string_view, std::string_view, uint8_t>;
  }
  return nullptr;
}

uint8_t NullAt(const uint8_t* nulls, size_t row) {
  return nulls == nullptr ? kIsPresent : nulls[row];
}

// Three-valued: `decides` (false for AND, true for OR) on either side decides, whatever the other
// side is.
template <uint8_t kDecides>
void Logic(const Step& step, Frame& frame) {
  const auto a = frame.In<uint8_t>(step.arguments[0]);
  const auto b = frame.In<uint8_t>(step.arguments[1]);
  uint8_t* out = frame.Out<uint8_t>(step.self);
  for (size_t row = 0; row < frame.rows(); ++row)
    out[row] = kDecides == 0 ? a[row] & b[row] : a[row] | b[row];
  frame.JoinNulls(step);
  if (frame.Nulls(step.self) == nullptr) return;
  const uint8_t* a_nulls = frame.Nulls(step.arguments[0]);
  const uint8_t* b_nulls = frame.Nulls(step.arguments[1]);
  uint8_t* nulls = frame.OwnNulls(step.self);
  for (size_t row = 0; row < frame.rows(); ++row) {
    const uint8_t a_null = NullAt(a_nulls, row);
    const uint8_t b_null = NullAt(b_nulls, row);
    const bool decided = (a_null == kIsPresent && a[row] == kDecides) ||
                         (b_null == kIsPresent && b[row] == kDecides);
    nulls[row] = decided ? kIsPresent : a_null | b_null;
    if (decided) out[row] = kDecides;
  }
}

// A NULL is like another NULL and unlike all values; so it is never NULL.
template <typename T>
void Distinct(const Step& step, Frame& frame) {
  const auto a = frame.In<T>(step.arguments[0]);
  const auto b = frame.In<T>(step.arguments[1]);
  const uint8_t* a_nulls = frame.Nulls(step.arguments[0]);
  const uint8_t* b_nulls = frame.Nulls(step.arguments[1]);
  uint8_t* out = frame.Out<uint8_t>(step.self);
  for (size_t row = 0; row < frame.rows(); ++row) {
    const bool a_null = NullAt(a_nulls, row) != kIsPresent;
    const bool b_null = NullAt(b_nulls, row) != kIsPresent;
    out[row] = a_null || b_null ? a_null != b_null : !Equal(a[row], b[row]);
  }
  frame.SetNulls(step.self, nullptr);
}

struct Not {
  static uint8_t Do(uint8_t a) { return a ^ 1; }
};

template <uint8_t kWhenNull>
void IsNull(const Step& step, Frame& frame) {
  const uint8_t* nulls = frame.Nulls(step.arguments[0]);
  uint8_t* out = frame.Out<uint8_t>(step.self);
  for (size_t row = 0; row < frame.rows(); ++row)
    out[row] = NullAt(nulls, row) != kIsPresent ? kWhenNull : kWhenNull ^ 1;
  frame.SetNulls(step.self, nullptr);
}

// out[row] is that of arguments[pick(row)], value and null together.
template <typename T, typename F>
void Choose(const Step& step, Frame& frame, uint32_t first, uint32_t second, F pick_first) {
  const auto a = frame.In<T>(first);
  const auto b = frame.In<T>(second);
  const uint8_t* a_nulls = frame.Nulls(first);
  const uint8_t* b_nulls = frame.Nulls(second);
  T* out = frame.Out<T>(step.self);
  uint8_t* nulls = frame.OwnNulls(step.self);
  uint8_t any = kIsPresent;
  for (size_t row = 0; row < frame.rows(); ++row) {
    const bool is_first = pick_first(row);
    out[row] = is_first ? a[row] : b[row];
    any |= nulls[row] = is_first ? NullAt(a_nulls, row) : NullAt(b_nulls, row);
  }
  if (any == kIsPresent) frame.SetNulls(step.self, nullptr);
}

template <typename T>
void Select(const Step& step, Frame& frame) {
  const auto condition = frame.In<uint8_t>(step.arguments[0]);
  const uint8_t* condition_nulls = frame.Nulls(step.arguments[0]);
  Choose<T>(step, frame, step.arguments[1], step.arguments[2], [&](size_t row) {
    return NullAt(condition_nulls, row) == kIsPresent && condition[row] != 0;
  });
}

template <typename T>
void Coalesce(const Step& step, Frame& frame) {
  const uint8_t* nulls = frame.Nulls(step.arguments[0]);
  Choose<T>(step, frame, step.arguments[0], step.arguments[1],
            [&](size_t row) { return NullAt(nulls, row) == kIsPresent; });
}

template <typename T>
void NullIf(const Step& step, Frame& frame) {
  const auto a = frame.In<T>(step.arguments[0]);
  const auto b = frame.In<T>(step.arguments[1]);
  const uint8_t* a_nulls = frame.Nulls(step.arguments[0]);
  const uint8_t* b_nulls = frame.Nulls(step.arguments[1]);
  T* out = frame.Out<T>(step.self);
  uint8_t* nulls = frame.OwnNulls(step.self);
  for (size_t row = 0; row < frame.rows(); ++row) {
    out[row] = a[row];
    const uint8_t null = NullAt(a_nulls, row);
    const bool same =
        null == kIsPresent && NullAt(b_nulls, row) == kIsPresent && Equal(a[row], b[row]);
    nulls[row] = same ? kIsNull : null;
  }
}

template <typename T, bool kLeast>
void ExtremeOf(const Step& step, Frame& frame) {
  const auto a = frame.In<T>(step.arguments[0]);
  const auto b = frame.In<T>(step.arguments[1]);
  const uint8_t* a_nulls = frame.Nulls(step.arguments[0]);
  const uint8_t* b_nulls = frame.Nulls(step.arguments[1]);
  Choose<T>(step, frame, step.arguments[0], step.arguments[1], [&](size_t row) {
    if (NullAt(b_nulls, row) != kIsPresent) return true;
    if (NullAt(a_nulls, row) != kIsPresent) return false;
    return kLeast ? !Less(b[row], a[row]) : !Less(a[row], b[row]);
  });
}
template <typename T>
void Least(const Step& step, Frame& frame) {
  ExtremeOf<T, true>(step, frame);
}
template <typename T>
void Greatest(const Step& step, Frame& frame) {
  ExtremeOf<T, false>(step, frame);
}

struct ConstantSet : StepData {
  std::unordered_set<int64_t> numbers;
  std::vector<std::string> kept;
  std::unordered_set<std::string_view> texts;
};

template <typename T>
void InSet(const Step& step, Frame& frame) {
  const auto& set = static_cast<const ConstantSet&>(*step.data);
  const auto a = frame.In<T>(step.arguments[0]);
  uint8_t* out = frame.Out<uint8_t>(step.self);
  for (size_t row = 0; row < frame.rows(); ++row) {
    if constexpr (std::is_same_v<T, int64_t>)
      out[row] = set.numbers.contains(a[row]);
    else
      out[row] = set.texts.contains(a[row]);
  }
  frame.JoinNulls(step);
}

}  // namespace

Kernel ComparisonKernel(std::string_view operation, MachineType type) {
  if (operation == "=") return Compare<IsEqual>(type);
  if (operation == "<>") return Compare<IsUnequal>(type);
  if (operation == "<") return Compare<IsLess>(type);
  if (operation == "<=") return Compare<IsLessOrEqual>(type);
  if (operation == ">") return Compare<IsMore>(type);
  return Compare<IsMoreOrEqual>(type);
}

Kernel DistinctKernel(MachineType type) { return HEADRACE_PICK_BY_MACHINE(type, Distinct); }

Kernel LogicKernel(std::string_view operation) {
  if (operation == "not") return &Total1<Not, uint8_t, uint8_t>;
  return operation == "and" ? &Logic<0> : &Logic<1>;
}

Kernel IsNullKernel(std::string_view operation) {
  return operation == "is null" ? &IsNull<1> : &IsNull<0>;
}

Kernel SelectKernel(MachineType type) { return HEADRACE_PICK_BY_MACHINE(type, Select); }
Kernel CoalesceKernel(MachineType type) { return HEADRACE_PICK_BY_MACHINE(type, Coalesce); }
Kernel NullIfKernel(MachineType type) { return HEADRACE_PICK_BY_MACHINE(type, NullIf); }
Kernel ExtremeKernel(std::string_view function, MachineType type) {
  return function == "least" ? HEADRACE_PICK_BY_MACHINE(type, Least)
                             : HEADRACE_PICK_BY_MACHINE(type, Greatest);
}

std::shared_ptr<const StepData> MakeConstantSet(const std::vector<columns::Value>& values) {
  auto set = std::make_shared<ConstantSet>();
  for (const columns::Value& value : values) {
    if (MachineTypeOf(value.type()) == MachineType::kInt)
      set->numbers.insert(value.as_int());
    else
      set->kept.push_back(value.as_text());
  }
  set->texts.insert(set->kept.begin(), set->kept.end());
  return set;
}

Kernel InSetKernel(MachineType type) {
  return type == MachineType::kInt ? &InSet<int64_t> : &InSet<std::string_view>;
}

}  // namespace headrace::pipeline
