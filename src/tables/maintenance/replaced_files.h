#pragma once
// Which of our data files others of ours have taken the place of. It stands as a tag at a rewritten
// file, so that a reader of history knows, of a file that the table no longer has, whether its rows
// are in one of ours, or whether somebody else took it away.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "tables/data_file_names.h"

namespace headrace::tables {

// Of one stream of one log. A set of files, kept as ranges: the plans of a table follow one
// another, so that thousands of files are one range.
class ReplacedFiles {
 public:
  void Add(const PlannedFile& file);
  void Add(const RewrittenFile& file);
  void Merge(const ReplacedFiles& other);
  bool empty() const { return planned_.empty() && rewritten_.empty(); }
  bool Contains(const PlannedFile& file) const;
  bool Contains(const RewrittenFile& file) const;
  // Whether first files of plans are there without a gap from epoch `after` on, or none at all is.
  bool IsWholeFrom(base::EpochId after) const;

  // "0-38 41-60 5-7.1 r77.0-3": the first files (number 0) of the plans that fill epochs (0, 38]
  // and (41, 60], the second file of the plan (5, 7], files 0 to 3 of the rewriting planned in
  // epoch 77.
  std::string ToText() const;
  // Errors: kCorruption.
  static base::Result<ReplacedFiles> Parse(std::string_view text);

 private:
  // Half-open ranges (begin, end], by begin; those that touch are one.
  using Ranges = std::map<uint64_t, uint64_t>;
  static void Put(Ranges& ranges, uint64_t begin, uint64_t end);
  static bool Has(const Ranges& ranges, uint64_t begin, uint64_t end);

  std::map<uint64_t, Ranges> planned_;    // by number: of epochs
  std::map<uint64_t, Ranges> rewritten_;  // by epoch: of numbers plus one
};

}  // namespace headrace::tables
