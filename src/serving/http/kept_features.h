#pragma once
// The lists of features that bodies begin with: a client asks for the same ones again and again,
// and a long list takes longer to read than all the rest of a request.
//
// A body `{"features":[..], ..}` is read as `{"features":null, ..}` when all its bytes up to the
// list's end are those of a body that was read before: they mean the same then.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serving/feature_names.h"

namespace headrace::serving {

// Not thread-safe: each thread has its own.
class KeptFeatures {
 public:
  static constexpr size_t kListsMax = 32;         // then the one that was kept first goes
  static constexpr size_t kBytesMax = 16U << 10;  // a longer list is not kept

  // The list of a body that begins with one of those, and the body without it, with 64 bytes of
  // spare capacity, which lives until the next call. Nothing when it begins with none of them.
  struct Split {
    FeatureNames names;
    const std::string& rest;
  };
  std::optional<Split> Find(std::string_view body);
  // `names` are what was read from the list that comes first in the body. Lists with escapes are
  // not kept.
  void Keep(std::string_view body, const FeatureNames& names);

 private:
  struct Entry {
    std::string begin;  // of the body, up to the bracket that ends the list
    FeatureNames names;
  };
  std::vector<Entry> entries_;
  size_t last_ = 0;  // the entry that was found last
  size_t next_ = 0;  // the one that goes next
  std::string rest_;
};

}  // namespace headrace::serving
