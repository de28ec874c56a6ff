#include "pipeline/logged_definition.h"

#include <gtest/gtest.h>

#include "pipeline/definition_diff.h"
#include "pipeline/pipeline_file.h"
#include "pipeline/views/events_fixture.h"

namespace headrace::pipeline {
namespace {

PipelineRef Define(const std::string& views) {
  const auto checked = CheckPipeline(
      "pipeline.yaml",
      "headrace: 1\npipeline: p\npromise: {budget: {p99: 200ms}}\nstreams:\n"
      "  events: {contract: c.yaml, source: {http: push}, time: {event: at, late: 1h}}\nviews:\n" +
          views,
      [](const std::string&) {
        return base::Result<std::string>(std::string(fixture::kContract));
      });
  HR_CHECK(checked.definition != nullptr, "the test's pipeline is broken");
  return checked.definition;
}

const char* const kView = "  a: {from: events, by: key, over: [1m], features: {n: count(*)}}\n";

TEST(LoggedDefinition, ComesBackAsItWasLogged) {
  const PipelineRef definition = Define(kView);
  const LoggedDefinition logged{.definition = definition,
                                .since = {{"a", kSinceThisEntry}, {"b", {7}}},
                                .origin = LoggedDefinition::Origin::kApplied,
                                .started = {5},
                                .before = {6}};
  const log::ControlEntry entry = EncodeEntry(logged);
  EXPECT_EQ(entry.name, definition->id.ToString());
  const auto back = DecodeEntry(entry, {42});
  ASSERT_TRUE(back.has_value()) << back.error().ToString();
  EXPECT_EQ(back->definition->id, definition->id);
  EXPECT_EQ(back->since, (ViewsSince{{"a", {42}}, {"b", {7}}}));
  EXPECT_EQ(back->origin, LoggedDefinition::Origin::kApplied);
  EXPECT_EQ(back->started, base::DefinitionId{5});
  EXPECT_EQ(back->before, base::DefinitionId{6});
  for (size_t size = 0; size < entry.payload.size(); ++size) {
    log::ControlEntry cut = entry;
    cut.payload.resize(size);
    EXPECT_FALSE(DecodeEntry(cut, {42}).has_value()) << size;
  }
}

// What a start logs first has the bytes of the first version.
TEST(LoggedDefinition, APlainOneIsTheDefinitionAlone) {
  const PipelineRef definition = Define(kView);
  const log::ControlEntry entry =
      EncodeEntry({.definition = definition, .since = {}, .started = definition->id, .before = {}});
  EXPECT_EQ(entry.payload, EncodeDefinition(*definition));
  const auto back = DecodeEntry(entry, {1});
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->started, definition->id);
  EXPECT_EQ(back->origin, LoggedDefinition::Origin::kStart);
}

TEST(DefinitionDiff, WhatIsWrittenAnewIsTheSame) {
  const PipelineRef one = Define(kView);
  const PipelineRef same = Define(
      "  # the same\n  a:\n    by: key\n    from: events\n    over: [1m]\n"
      "    features:\n      n: count(*)   # rows\n");
  EXPECT_NE(one->id, same->id);
  EXPECT_EQ(IdentitiesOf(*one), IdentitiesOf(*same));
  const DefinitionDiff diff = Compare(*one, *same);
  EXPECT_EQ(diff.views, (std::vector<NamedDifference>{{"a", ChangeKind::kUnchanged}}));
  EXPECT_EQ(diff.streams, (std::vector<NamedDifference>{{"events", ChangeKind::kUnchanged}}));
}

// Whatever a view says is told apart, also what answers alone depend on.
TEST(DefinitionDiff, WhatSaysSomethingElseIsNot) {
  const auto identity = [](const std::string& view) { return IdentitiesOf(*Define(view))[0]; };
  const std::string plain = identity(kView);
  for (const char* other :
       {"  b: {from: events, by: key, over: [1m], features: {n: count(*)}}\n",
        "  a: {from: events, by: region, over: [1m], features: {n: count(*)}}\n",
        "  a: {from: events, by: key, over: [2m], features: {n: count(*)}}\n",
        "  a: {from: events, by: key, over: [1m], features: {m: count(*)}}\n",
        "  a: {from: events, by: key, over: [1m], features: {n: count(x)}}\n",
        "  a: {from: events, by: key, over: [1m], ttl: 1h, features: {n: count(*)}}\n",
        "  a: {from: events, by: key, over: [1m], history: 1h, features: {n: count(*)}}\n",
        "  a: {from: events, by: key, over: [1m], where: b, features: {n: count(*)}}\n",
        "  a: {from: events, by: key, features: {n: last(x)}}\n"})
    EXPECT_NE(identity(other), plain) << other;
}

}  // namespace
}  // namespace headrace::pipeline
