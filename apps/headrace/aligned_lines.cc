#include "aligned_lines.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace headrace::app {
namespace {

constexpr size_t kMargin = 2;  // before the first column, and between two

// Characters, not bytes, of UTF-8.
size_t WidthOf(const std::string& text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

}  // namespace

void AlignedLines::Add(std::vector<std::string> cells) {
  widths_.resize(std::max(widths_.size(), cells.size()));
  for (size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], WidthOf(cells[i]));
  lines_.push_back({.edge_at = {}, .cells = std::move(cells)});
}

void AlignedLines::AddEdge(size_t column, std::string text) {
  lines_.push_back({.edge_at = column, .cells = {std::move(text)}});
}

std::string AlignedLines::EdgeOf(const Line& line) const {
  size_t begin = kMargin;
  for (size_t i = 0; i < *line.edge_at && i < widths_.size(); ++i) begin += widths_[i] + kMargin;
  std::string text(kMargin, ' ');
  text.append(std::max<size_t>(begin, kMargin + 1) - kMargin - 1, '-');
  return text + " " + line.cells.front();
}

std::string AlignedLines::TextOf(const Line& line) const {
  if (line.edge_at) return EdgeOf(line);
  std::string text;
  for (size_t i = 0; i < line.cells.size(); ++i) {
    text.append(kMargin, ' ').append(line.cells[i]);
    text.append(widths_[i] - WidthOf(line.cells[i]), ' ');
  }
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

std::string AlignedLines::Text() const {
  std::string text;
  for (const Line& line : lines_) text.append(TextOf(line)).append("\n");
  return text;
}

void AlignedLines::Print(std::FILE* out) const { fmt::print(out, "{}", Text()); }

}  // namespace headrace::app
