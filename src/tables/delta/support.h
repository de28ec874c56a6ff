#pragma once
// Which Delta tables this version can read and append to. Everything else is refused with the
// feature's name.

#include "base/result.h"
#include "columns/schema.h"
#include "tables/delta/actions.h"

namespace headrace::tables::delta {

// (1, 2), or (3, 7) with timestampNtz where a column needs it.
Protocol ProtocolFor(const columns::Schema& schema);
// `known`, with what columns of `schema` need beside it. Tables of versions up to (1, 2) have no
// other features than those that every writer has.
Protocol WithFeaturesFor(const columns::Schema& schema, const Protocol& known);
// `known`, with typeWidening, which a table needs whose files have a narrower type than a column.
Protocol WithTypeWidening(const Protocol& known);

// Errors: kUnsupported that names what a reader would have to understand; kCorruption when the
// protocol does not say it.
base::Result<void> CheckReadable(const Protocol& protocol);

// The same for DeltaReader, which has more features than a table that we append to may have.
base::Result<void> CheckReadableByAll(const Protocol& protocol);

// No partitions, no column mapping. Errors: kUnsupported.
base::Result<void> CheckPlain(const Metadata& metadata);

// Whether rows may be appended without checks or columns that this version does not make. Errors:
// kUnsupported; kCorruption when the protocol does not say what is needed.
base::Result<void> CheckWritable(const Protocol& protocol, const Metadata& metadata);

}  // namespace headrace::tables::delta
