#pragma once
// Lines of texts in columns, for people: each column as wide as its widest text.

#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace headrace::app {

// A value. Nothing is printed before Print.
class AlignedLines {
 public:
  explicit AlignedLines(std::vector<std::string> header) { Add(std::move(header)); }
  void Add(std::vector<std::string> cells);
  // A line of its own across the columns: dashes up to this one, then the text.
  void AddEdge(size_t column, std::string text);
  // The lines, each with its line break, without blanks at the end.
  std::string Text() const;
  void Print(std::FILE* out) const;

 private:
  struct Line {
    std::optional<size_t> edge_at;
    std::vector<std::string> cells;
  };
  std::string EdgeOf(const Line& line) const;
  std::string TextOf(const Line& line) const;

  std::vector<Line> lines_;
  std::vector<size_t> widths_;
};

}  // namespace headrace::app
