#pragma once
// Lines of texts in columns, for people: each column as wide as its widest text.

#include <cstdio>
#include <string>
#include <vector>

namespace headrace::app {

// A value. Nothing is printed before Print.
class AlignedLines {
 public:
  explicit AlignedLines(std::vector<std::string> header) { Add(std::move(header)); }
  void Add(std::vector<std::string> cells);
  // A line of its own across the columns.
  void AddEdge(std::string text) { lines_.push_back({.edge = true, .cells = {std::move(text)}}); }
  void Print(std::FILE* out) const;

 private:
  struct Line {
    bool edge = false;
    std::vector<std::string> cells;
  };
  std::vector<Line> lines_;
  std::vector<size_t> widths_;
};

}  // namespace headrace::app
