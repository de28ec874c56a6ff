#pragma once
// Sizes for people.

#include <string>
#include <string_view>

namespace headrace::base {

// The unit in which the largest of some sizes is at least 1, from MiB on: sizes that are compared
// are written in one, but for those below a tenth of it. A value.
class SizeUnit {
 public:
  explicit SizeUnit(double largest_bytes);
  std::string Text(double bytes) const;  // "614.4 MiB", "9.7 GiB"

 private:
  double bytes_;
  std::string_view name_;
};

}  // namespace headrace::base
