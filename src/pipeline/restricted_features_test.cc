#include "pipeline/restricted_features.h"

#include <gtest/gtest.h>

#include <string>

#include "pipeline/pipeline_file.h"

namespace headrace::pipeline {
namespace {

constexpr std::string_view kPipeline = R"yaml(headrace: 1
pipeline: visits
promise: {budget: {p99: 200ms}}
streams:
  visits:
    contract: visits.yaml
    source: {http: push}
    time: {event: at, late: 1h}
  cleaned:
    from: visits
    derive: {domain: "substr(mail, 2)", twice: amount * 2}
  known:
    from: visits
    where: mail = 'x'
views:
  user:
    from: visits
    by: mail
    over: [1h]
    features: {n: count(*), spend: sum(amount), mails: approx_distinct(mail), rich: "count(*) where mail = 'x'"}
  page: {from: visits, by: page, over: [1h], where: mail = 'x', features: {n: count(*)}}
  clean: {from: cleaned, by: page, over: [1h], features: {domain: last(domain), twice: sum(twice), n: count(*)}}
  some: {from: known, by: page, over: [1h], features: {spend: sum(amount), n: count(*)}}
on_request: {a: user.spend_1h * 2, b: user.mails_1h * 2}
services: {all: {features: [user.*, a, b]}}
)yaml";

constexpr std::string_view kContract = R"yaml(apiVersion: v3.1.0
kind: DataContract
id: visits
version: 1.0.0
status: active
schema:
  - name: visits
    logicalType: object
    properties:
      - {name: mail, logicalType: string, required: true, classification: restricted}
      - {name: page, logicalType: string, required: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: amount, logicalType: number}
      - {name: items, logicalType: array, physicalType: json}
      - {name: cards, logicalType: array, physicalType: json, classification: restricted}
)yaml";

PipelineRef DefinitionOf(std::string_view pipeline) {
  const auto checked = CheckPipeline(
      "pipeline.yaml", std::string(pipeline),
      [](const std::string&) -> base::Result<std::string> { return std::string(kContract); });
  std::string wrong;
  for (const contract::Diagnostic& diagnostic : checked.diagnostics) wrong += diagnostic.message;
  HR_CHECK(checked.definition != nullptr, wrong);
  return checked.definition;
}

std::string RestrictedFeaturesOf(const PipelineDefinition& definition) {
  const RestrictedFeatures found = FindRestricted(definition);
  std::string restricted;
  for (size_t view = 0; view < definition.views.size(); ++view)
    for (size_t i = 0; i < definition.views[view].outputs.size(); ++i)
      if (found.outputs[view][i])
        restricted +=
            definition.views[view].name + "." + definition.views[view].outputs[i].name + " ";
  for (size_t i = 0; i < definition.on_request.size(); ++i)
    if (found.on_request[i]) restricted += definition.on_request[i].name + " ";
  return restricted;
}

// Of one stream; "(rows)" when that it has a row is restricted.
std::string RestrictedColumnsOf(const PipelineDefinition& definition, std::string_view stream) {
  const size_t index = *definition.StreamNamed(stream);
  const RestrictedFeatures::Stream of = FindRestricted(definition).streams[index];
  const columns::Schema& schema = *definition.streams[index].schema();
  HR_CHECK(of.columns.size() == schema.size(), "a flag for each column");
  std::string restricted;
  for (size_t i = 0; i < schema.size(); ++i)
    if (of.columns[i]) restricted += schema.field(i).name + " ";
  if (of.rows) restricted += "(rows)";
  return restricted;
}

TEST(RestrictedFeatures, AreThoseThatReadARestrictedColumn) {
  EXPECT_EQ(RestrictedFeaturesOf(*DefinitionOf(kPipeline)),
            "user.mails_1h user.rich_1h page.n_1h clean.domain_1h some.spend_1h some.n_1h b ");
}

TEST(RestrictedFeatures, ComputedBesideAnUnnestedList) {
  const PipelineRef definition = DefinitionOf(R"yaml(headrace: 1
pipeline: visits
promise: {budget: {p99: 200ms}}
streams:
  visits: {contract: visits.yaml, source: {http: push}, time: {event: at, late: 1h}}
  lines:
    from: visits
    unnest: {list: items}
    derive: {domain: "substr(mail, 2)", twice: amount * 2, place: ordinal * 2}
  chosen: {from: visits, unnest: {list: items}, where: mail = 'x'}
  secrets: {from: visits, unnest: {list: cards, element: card}, derive: {digits: "substr(card, 2)"}}
views:
  line: {from: lines, by: page, over: [1h], features: {domain: last(domain), twice: sum(twice), n: count(*)}}
  secret: {from: secrets, by: page, over: [1h], features: {spend: sum(amount), n: count(*)}}
services: {all: {features: [line.*]}}
)yaml");
  EXPECT_EQ(RestrictedColumnsOf(*definition, "lines"), "mail cards domain ");
  EXPECT_EQ(RestrictedColumnsOf(*definition, "chosen"), "mail cards (rows)");
  EXPECT_EQ(RestrictedColumnsOf(*definition, "secrets"), "mail card ordinal digits (rows)");
  EXPECT_EQ(RestrictedFeaturesOf(*definition), "line.domain_1h secret.spend_1h secret.n_1h ");
}

TEST(RestrictedFeatures, OverAJoinWithRowsThatAreRestricted) {
  const PipelineRef definition = DefinitionOf(R"yaml(headrace: 1
pipeline: visits
promise: {budget: {p99: 200ms}}
streams:
  visits: {contract: visits.yaml, source: {http: push}, time: {event: at, late: 1h}}
  known: {from: visits, where: mail = 'x'}
  pages: {from: visits, select: [page, at]}
  by_version: {from: visits asof left join known using (page)}
  in_time: {from: visits join known using (page) within 1h}
  plain: {from: visits join pages using (page) within 1h}
views:
  version: {from: by_version, by: page, over: [1h], features: {known: count(known.amount)}}
  time: {from: in_time, by: page, over: [1h], features: {n: count(*)}}
  shown: {from: plain, by: page, over: [1h], features: {n: count(*)}}
services: {all: {features: [shown.*]}}
)yaml");
  EXPECT_EQ(RestrictedColumnsOf(*definition, "by_version"),
            "mail cards known.mail known.cards (rows)");
  EXPECT_EQ(RestrictedColumnsOf(*definition, "in_time"),
            "mail cards known.mail known.cards (rows)");
  EXPECT_EQ(RestrictedColumnsOf(*definition, "plain"), "mail cards ");
  EXPECT_EQ(RestrictedFeaturesOf(*definition), "version.known_1h time.n_1h ");
}

}  // namespace
}  // namespace headrace::pipeline
