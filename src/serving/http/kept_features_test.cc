#include "serving/http/kept_features.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "serving/http/feast_request.h"

namespace headrace::serving {
namespace {

using Names = std::vector<std::string>;

TEST(KeptFeatures, TakesAListOutOfABodyThatBeginsAsAnotherDid) {
  KeptFeatures kept;
  EXPECT_FALSE(kept.Find(R"({"features":["a:x","b:y"],"entities":{}})"));
  kept.Keep(R"({"features":["a:x","b:y"],"entities":{}})", Names{"a:x", "b:y"});
  const auto found = kept.Find(R"({"features":["a:x","b:y"] , "entities":{"k":[1]}})");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->names.names(), (Names{"a:x", "b:y"}));
  EXPECT_EQ(found->rest, R"({"features":null , "entities":{"k":[1]}})");
  EXPECT_GE(found->rest.capacity(), found->rest.size() + 64);
  for (const char* other :
       {"", R"({"features":["a:x","b:y")", R"({"features":["a:x","b:z"],"entities":{}})",
        R"({ "features":["a:x","b:y"],"entities":{}})", R"({"features":["a:x"],"entities":{}})",
        R"({"entities":{},"features":["a:x","b:y"]})"})
    EXPECT_FALSE(kept.Find(other)) << other;
}

TEST(KeptFeatures, KeepsOnlyListsWhoseEndIsCertain) {
  const auto keeps = [](const std::string& body, const Names& names) {
    KeptFeatures kept;
    kept.Keep(body, names);
    const auto found = kept.Find(body);
    return found ? found->rest : "";
  };
  EXPECT_EQ(keeps("{ \"features\"\t:\n[ \"a\" ] }", {"a"}), "{\"features\":null }");
  // The first bracket is a text's.
  EXPECT_EQ(keeps(R"({"features":["a]","b"]})", {"a]", "b"}), "");
  EXPECT_EQ(keeps(R"({"features":["a","]"]})", {"a", "]"}), "");
  EXPECT_EQ(keeps(R"({"features":["\"]","b"]})", {"\"]", "b"}), "");
  EXPECT_EQ(keeps(R"({"features":["\u0061"]})", {"a"}), "");
  EXPECT_EQ(keeps(R"({"f\u0065atures":["a"]})", {"a"}), "");
  EXPECT_EQ(keeps(R"({"x":1,"features":["a"]})", {"a"}), "");
  const std::string name(KeptFeatures::kBytesMax, 'a');
  EXPECT_EQ(keeps(R"({"features":[")" + name + R"("]})", {name}), "");
}

TEST(KeptFeatures, KeepsSoManyLists) {
  KeptFeatures kept;
  const auto body = [](size_t i) { return R"({"features":["f)" + std::to_string(i) + R"("]})"; };
  for (size_t i = 0; i <= KeptFeatures::kListsMax; ++i)
    kept.Keep(body(i), Names{"f" + std::to_string(i)});
  EXPECT_FALSE(kept.Find(body(0)));
  for (size_t i = KeptFeatures::kListsMax; i > 0; --i) {
    const auto found = kept.Find(body(i));
    ASSERT_TRUE(found) << i;
    EXPECT_EQ(found->names.names(), Names{"f" + std::to_string(i)});
  }
}

// A request reads as it did when its list was new, whatever follows the list.
TEST(KeptFeatures, RequestsReadTheSame) {
  const std::string list = R"({"features":["kept:a","kept@latest:b"])";
  const std::vector<std::string> ends = {
      R"(,"entities":{"k":["x",2,null,1.5,true]},"full_feature_names":true})",
      R"(,"entities":{"k":[1]},"features":["more:c"]})",
      R"(,"entities":{"k":[1]},"features":null})",
      R"(,"entities":{"k":[1]},"features":3})",
      R"(,"entities":{"k":[1]},"features":["v@v2:c"]})",
      R"(,"entities":{"k":[1]},"entities":{}})",
      R"(,"entities":{"k":[1]},"as_of":"2001-01-01T00:00:00Z","mode":"feast","min_epoch":7})",
      R"(,"entities":{"k":[1]},"mode":"x","min_epoch":-1})",
      R"(,"entities":{"k":[1]})",
      R"(,"entities":{"k":[1]}}})",
      R"(}, "entities":{}})",
      R"(})",
      R"(,})",
      "",
      R"( "entities":{}})",
      "]}",
      ",\"entities\":{\"k\":[\"\xff\"]}}",
  };
  const auto told = [&](const std::string& body) {
    protocols::HttpRequest request;
    request.body = body;
    const auto read = ParseFeastRequest(request, StatusMode::kStrict);
    std::string text;
    if (!read) {
      for (const FieldProblem& problem : read.error()) {
        text += problem.type + "|" + problem.message + "|";
        for (const std::string& at : problem.location) text += at + "/";
        text += problem.index ? std::to_string(*problem.index) + ";" : ";";
      }
      return text;
    }
    for (const std::string& name : read->query.features.names()) text += name + ",";
    for (const InputColumn& input : read->query.inputs) {
      text += input.name + "=";
      for (const columns::Value& value : input.values) text += value.ToJson() + ",";
    }
    text += read->query.as_of ? base::FormatTimestamp(*read->query.as_of) : "";
    text += read->query.min_epoch ? std::to_string(read->query.min_epoch->value) : "";
    return text + (read->full_feature_names ? "full" : "") +
           (read->mode == StatusMode::kFeast ? "feast" : "");
  };
  // Blanks at the front: a list of its own, which is new to this thread each time.
  std::string blanks;
  const auto unknown = [&](const std::string& end) { return told((blanks += ' ') + list + end); };
  std::vector<std::string> wanted;
  for (const std::string& end : ends) wanted.push_back(unknown(end));
  told(list + ends[0]);
  for (size_t i = 0; i < ends.size(); ++i) {
    EXPECT_EQ(told(list + ends[i]), wanted[i]) << ends[i];
    EXPECT_FALSE(wanted[i].empty());
  }
  EXPECT_NE(wanted[0].find("kept:a,kept:b,k=\"x\",2,null,1.5,true"), std::string::npos)
      << wanted[0];
}

}  // namespace
}  // namespace headrace::serving
