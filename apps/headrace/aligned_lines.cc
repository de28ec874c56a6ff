#include "aligned_lines.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace headrace::app {

void AlignedLines::Add(std::vector<std::string> cells) {
  widths_.resize(std::max(widths_.size(), cells.size()));
  for (size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], cells[i].size());
  lines_.push_back({.edge = false, .cells = std::move(cells)});
}

void AlignedLines::Print(std::FILE* out) const {
  for (const Line& line : lines_) {
    if (line.edge) {
      fmt::print(out, "  ---- {}\n", line.cells.front());
      continue;
    }
    std::string text = " ";
    for (size_t i = 0; i < line.cells.size(); ++i) {
      text += " " + line.cells[i] + " ";
      text.append(widths_[i] - line.cells[i].size(), ' ');
    }
    fmt::print(out, "{}\n", text.substr(0, text.find_last_not_of(' ') + 1));
  }
}

}  // namespace headrace::app
