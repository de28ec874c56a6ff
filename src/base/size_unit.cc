#include "base/size_unit.h"

#include <fmt/core.h>

namespace headrace::base {

SizeUnit::SizeUnit(double largest_bytes)
    : bytes_(largest_bytes < 0x1p30   ? 0x1p20
             : largest_bytes < 0x1p40 ? 0x1p30
                                      : 0x1p40),
      name_(largest_bytes < 0x1p30   ? "MiB"
            : largest_bytes < 0x1p40 ? "GiB"
                                     : "TiB") {}

std::string SizeUnit::Text(double bytes) const {
  const double size = bytes / bytes_;
  if (size == 0 || size >= 0.1) return fmt::format("{:.1f} {}", size, name_);
  if (bytes < 0.1 * 0x1p20) return fmt::format("{:.1f} KiB", bytes / 1024);
  return SizeUnit(bytes).Text(bytes);
}

}  // namespace headrace::base
