#pragma once
// When the rows of one stream became known, epoch by epoch. A rule that assumes it holds for all
// rows. An observed one holds from when it came into force: what was assumed of earlier rows stays
// assumed (pipeline::RuleUnder), wherever they lie.

#include <set>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "columns/position.h"
#include "pipeline/definition.h"
#include "tables/table_rows.h"

namespace headrace::training {

// Immutable once rules are added; refers to nothing.
class ArrivalRules {
 public:
  // Of epochs from `from` on, which was sealed at `at`. In the order of epochs; those before the
  // first are of its rule, too.
  void Add(base::EpochId from, base::Timestamp at, const pipeline::KnownAtRule& rule);

  bool assumed(base::EpochId epoch) const { return RuleAt(epoch).rule.assumed(); }
  bool any_assumed() const;
  // Fields of the stream that the rules look at.
  std::set<size_t> Fields(const pipeline::StreamDefinition& stream) const;
  // Sets the known_at of rows whose arrival is assumed; others keep theirs. The time from which on
  // all of them were known, by assumption and in fact; Timestamp::Min() when there are none.
  base::Timestamp SetKnownAt(const pipeline::StreamDefinition& stream,
                             tables::PositionedRows& rows) const;

 private:
  struct Rule {
    base::EpochId from;
    pipeline::KnownAtRule rule;
    base::Timestamp until;  // the next one's beginning
  };
  const Rule& RuleAt(base::EpochId epoch) const;

  std::vector<Rule> rules_;
};

}  // namespace headrace::training
