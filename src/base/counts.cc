#include "base/counts.h"

namespace headrace::base {

std::string WithCommas(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

std::string Counted(uint64_t number, std::string_view one) {
  std::string text = WithCommas(number) + " ";
  text += one;
  if (number != 1) text += 's';
  return text;
}

}  // namespace headrace::base
