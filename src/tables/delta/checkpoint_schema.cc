#include "tables/delta/checkpoint_schema.h"

#include <arrow/type.h>

namespace headrace::tables::delta {
namespace {

std::shared_ptr<arrow::DataType> TextMap() { return arrow::map(arrow::utf8(), arrow::utf8()); }

std::shared_ptr<arrow::DataType> DeletionVectorType() {
  return arrow::struct_(
      {arrow::field("storageType", arrow::utf8()), arrow::field("pathOrInlineDv", arrow::utf8()),
       arrow::field("offset", arrow::int32()), arrow::field("sizeInBytes", arrow::int32()),
       arrow::field("cardinality", arrow::int64())});
}

}  // namespace

std::shared_ptr<arrow::Schema> CheckpointSchema() {
  const auto txn =
      arrow::struct_({arrow::field("appId", arrow::utf8()), arrow::field("version", arrow::int64()),
                      arrow::field("lastUpdated", arrow::int64())});
  const auto add = arrow::struct_(
      {arrow::field("path", arrow::utf8()), arrow::field("partitionValues", TextMap()),
       arrow::field("size", arrow::int64()), arrow::field("modificationTime", arrow::int64()),
       arrow::field("dataChange", arrow::boolean()), arrow::field("stats", arrow::utf8()),
       arrow::field("tags", TextMap()), arrow::field("deletionVector", DeletionVectorType())});
  const auto remove = arrow::struct_(
      {arrow::field("path", arrow::utf8()), arrow::field("deletionTimestamp", arrow::int64()),
       arrow::field("dataChange", arrow::boolean()),
       arrow::field("extendedFileMetadata", arrow::boolean()),
       arrow::field("partitionValues", TextMap()), arrow::field("size", arrow::int64()),
       arrow::field("deletionVector", DeletionVectorType())});
  const auto format =
      arrow::struct_({arrow::field("provider", arrow::utf8()), arrow::field("options", TextMap())});
  const auto metadata = arrow::struct_(
      {arrow::field("id", arrow::utf8()), arrow::field("name", arrow::utf8()),
       arrow::field("description", arrow::utf8()), arrow::field("format", format),
       arrow::field("schemaString", arrow::utf8()),
       arrow::field("partitionColumns", arrow::list(arrow::utf8())),
       arrow::field("createdTime", arrow::int64()), arrow::field("configuration", TextMap())});
  const auto protocol =
      arrow::struct_({arrow::field("minReaderVersion", arrow::int32()),
                      arrow::field("minWriterVersion", arrow::int32()),
                      arrow::field("readerFeatures", arrow::list(arrow::utf8())),
                      arrow::field("writerFeatures", arrow::list(arrow::utf8()))});
  return arrow::schema({arrow::field("txn", txn), arrow::field("add", add),
                        arrow::field("remove", remove), arrow::field("metaData", metadata),
                        arrow::field("protocol", protocol)});
}

}  // namespace headrace::tables::delta
