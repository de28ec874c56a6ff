#pragma once
// The names in a list of features, as a request has them.

#include <bit>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace headrace::serving {

// A value whose copies share the names; immutable, any thread may use it.
class FeatureNames {
 public:
  FeatureNames() = default;
  FeatureNames(std::vector<std::string> names) {  // NOLINT(google-explicit-constructor)
    if (names.empty()) return;
    auto list = std::make_shared<List>();
    for (const std::string& name : names)
      list->hash = std::rotl(list->hash, 7) ^ std::hash<std::string>()(name);
    list->names = std::move(names);
    list_ = std::move(list);
  }
  FeatureNames(std::initializer_list<std::string> names)
      : FeatureNames(std::vector<std::string>(names)) {}

  bool empty() const { return list_ == nullptr; }
  const std::vector<std::string>& names() const {
    static const std::vector<std::string> kNone;
    return empty() ? kNone : list_->names;
  }
  // Of the same names in the same order; at once where they are shared.
  bool operator==(const FeatureNames& other) const {
    if (list_ == other.list_) return true;
    return !empty() && !other.empty() && list_->hash == other.list_->hash &&
           list_->names == other.list_->names;
  }
  struct Hash {
    size_t operator()(const FeatureNames& names) const {
      return names.empty() ? 0 : names.list_->hash;
    }
  };

 private:
  struct List {
    std::vector<std::string> names;
    size_t hash = 0;
  };
  std::shared_ptr<const List> list_;  // null: no names
};

}  // namespace headrace::serving
