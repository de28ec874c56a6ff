#include "serving/feature_names.h"

#include <gtest/gtest.h>

#include <string>
#include <unordered_set>
#include <vector>

namespace headrace::serving {
namespace {

TEST(FeatureNames, AreEqualByNamesAndOrder) {
  const std::vector<FeatureNames> different = {
      {}, {"a"}, {"a", "b"}, {"b", "a"}, {"ab"}, {"a\nb"}, {"a", "b", "b"}, {"a", ""}, {""}};
  std::unordered_set<FeatureNames, FeatureNames::Hash> all;
  for (size_t i = 0; i < different.size(); ++i) {
    for (size_t j = 0; j < different.size(); ++j)
      EXPECT_EQ(different[i] == different[j], i == j) << i << " " << j;
    EXPECT_EQ(different[i].empty(), i == 0);
    EXPECT_TRUE(all.insert(different[i]).second);
    const FeatureNames again = different[i].names();
    EXPECT_TRUE(again == different[i]);
    EXPECT_FALSE(all.insert(again).second);
  }
}

}  // namespace
}  // namespace headrace::serving
