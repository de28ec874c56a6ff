#pragma once
// A condition on the rows of a table, as people write it in a scan and in OPTIMIZE: an expression
// (docs/reference/expressions.md) over the table's columns, in which also
//
//   now, today, yesterday         are the moment at which it is read, and days of UTC;
//   at > now - 2d                 counts from it;
//   at >= '2013-01-05'            a text beside a time or a date is one;
//   day(at) = yesterday           (today, or 'YYYY-MM-DD') is a whole day, of UTC.
//
// A column that has one of these names is meant by it.

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "columns/schema.h"
#include "pipeline/expressions/expression.h"
#include "tables/delta/pruning.h"

namespace headrace::tables {

// A value.
class WhereClause {
 public:
  // Over the columns of `table`. `others`: columns that the table has and that can't be compared,
  // with their types. Errors: kInvalidInput that says what is wrong, and marks the place with a
  // caret under the text.
  static base::Result<WhereClause> Parse(std::string text, const columns::SchemaRef& table,
                                         base::Timestamp now,
                                         const std::map<std::string, std::string>& others = {});

  // As Expression::Compile, for any schema that has its columns under their names. Errors: as
  // Parse.
  base::Result<pipeline::Expression> CompileFor(const columns::SchemaRef& schema) const;
  // The columns of the table that it reads, ascending.
  const std::vector<size_t>& inputs() const { return inputs_; }
  // Of the terms that are joined by AND, those that compare a column with a constant: a file
  // without a value that fits has no row that does.
  const std::vector<delta::Condition>& conditions() const { return conditions_; }
  // Whether these are all of it. Errors: kInvalidInput that marks the first term that is none.
  base::Result<void> CheckFilesTellAll() const;

 private:
  // A piece of the text that stands for something else in `plain_`.
  struct Replaced {
    size_t begin, end;              // in text_
    size_t plain_begin, plain_end;  // in plain_
  };
  friend class WhereReader;

  base::Result<void> WriteOut(const columns::SchemaRef& table, base::Timestamp now,
                              const std::map<std::string, std::string>& others);
  base::Result<void> CollectConditions(const columns::Schema& table);
  // The place in text_ of one in plain_.
  size_t PlaceOf(size_t plain) const;
  std::unexpected<base::Error> Wrong(const pipeline::ExpressionError& error) const;

  std::string text_;   // as it was written
  std::string plain_;  // an expression
  std::vector<Replaced> replaced_;
  std::vector<size_t> inputs_;
  std::vector<delta::Condition> conditions_;
  // Of the first term that files can't tell of; an empty range when there is none.
  size_t untold_begin_ = 0, untold_end_ = 0;
};

}  // namespace headrace::tables
