#include "tables/delta/checkpoint_columns.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using ArrayRef = std::shared_ptr<arrow::Array>;

// A text column, whichever layout it has. Null without an array.
class TextColumn {
 public:
  explicit TextColumn(ArrayRef array) : array_(std::move(array)) {}
  std::optional<std::string> at(int64_t row) const {
    if (array_ == nullptr || array_->IsNull(row)) return std::nullopt;
    switch (array_->type_id()) {
      case arrow::Type::STRING:
      case arrow::Type::BINARY:
        return std::string(static_cast<const arrow::BinaryArray&>(*array_).GetView(row));
      case arrow::Type::LARGE_STRING:
      case arrow::Type::LARGE_BINARY:
        return std::string(static_cast<const arrow::LargeBinaryArray&>(*array_).GetView(row));
      case arrow::Type::STRING_VIEW:
      case arrow::Type::BINARY_VIEW:
        return std::string(static_cast<const arrow::BinaryViewArray&>(*array_).GetView(row));
      case arrow::Type::DICTIONARY: {
        const auto& coded = static_cast<const arrow::DictionaryArray&>(*array_);
        return TextColumn(coded.dictionary()).at(coded.GetValueIndex(row));
      }
      default: return std::nullopt;
    }
  }

 private:
  ArrayRef array_;
};

class NumberColumn {
 public:
  explicit NumberColumn(ArrayRef array) : array_(std::move(array)) {}
  std::optional<int64_t> at(int64_t row) const {
    if (array_ == nullptr || array_->IsNull(row)) return std::nullopt;
    if (array_->type_id() == arrow::Type::INT64)
      return static_cast<const arrow::Int64Array&>(*array_).Value(row);
    if (array_->type_id() == arrow::Type::INT32)
      return static_cast<const arrow::Int32Array&>(*array_).Value(row);
    return std::nullopt;
  }

 private:
  ArrayRef array_;
};

class BoolColumn {
 public:
  explicit BoolColumn(ArrayRef array) : array_(std::move(array)) {}
  bool at(int64_t row, bool otherwise) const {
    if (array_ == nullptr || array_->IsNull(row) || array_->type_id() != arrow::Type::BOOL)
      return otherwise;
    return static_cast<const arrow::BooleanArray&>(*array_).Value(row);
  }

 private:
  ArrayRef array_;
};

// map<text, text>.
class TextMapColumn {
 public:
  explicit TextMapColumn(const ArrayRef& array)
      : map_(array != nullptr && array->type_id() == arrow::Type::MAP
                 ? std::static_pointer_cast<arrow::MapArray>(array)
                 : nullptr),
        keys_(map_ ? map_->keys() : nullptr),
        items_(map_ ? map_->items() : nullptr) {}
  PartitionValues at(int64_t row) const {
    PartitionValues pairs;
    if (map_ == nullptr || map_->IsNull(row)) return pairs;
    for (int64_t i = map_->value_offset(row); i < map_->value_offset(row + 1); ++i)
      pairs.emplace_back(keys_.at(i).value_or(""), items_.at(i));
    return pairs;
  }
  std::map<std::string, std::string> texts(int64_t row) const {
    std::map<std::string, std::string> texts;
    for (auto& [key, value] : at(row))
      if (value) texts[key] = std::move(*value);
    return texts;
  }

 private:
  std::shared_ptr<arrow::MapArray> map_;
  TextColumn keys_;
  TextColumn items_;
};

std::vector<std::string> TextsAt(const ArrayRef& array, int64_t row) {
  std::vector<std::string> texts;
  if (array == nullptr || array->IsNull(row)) return texts;
  const auto take = [&](const auto& list) {
    const TextColumn values(list.values());
    for (int64_t i = list.value_offset(row); i < list.value_offset(row + 1); ++i)
      texts.push_back(values.at(i).value_or(""));
  };
  if (array->type_id() == arrow::Type::LIST) take(static_cast<const arrow::ListArray&>(*array));
  if (array->type_id() == arrow::Type::LARGE_LIST)
    take(static_cast<const arrow::LargeListArray&>(*array));
  return texts;
}

// One kind of action: a struct column, and its fields.
class ActionColumn {
 public:
  explicit ActionColumn(const ArrayRef& array)
      : struct_(array != nullptr && array->type_id() == arrow::Type::STRUCT
                    ? std::static_pointer_cast<arrow::StructArray>(array)
                    : nullptr) {}
  ArrayRef field(const char* name) const {
    return struct_ ? struct_->GetFieldByName(name) : nullptr;
  }
  bool has(int64_t row) const { return struct_ != nullptr && struct_->IsValid(row); }

 private:
  std::shared_ptr<arrow::StructArray> struct_;
};

std::unexpected<base::Error> Missing(const char* what) {
  return Fail(ErrorCode::kCorruption, std::string("an action of a checkpoint without its ") + what);
}

class DeletionVectorColumn {
 public:
  explicit DeletionVectorColumn(const ArrayRef& array)
      : column_(array),
        storage_(column_.field("storageType")),
        path_(column_.field("pathOrInlineDv")),
        offset_(column_.field("offset")),
        bytes_(column_.field("sizeInBytes")),
        cardinality_(column_.field("cardinality")) {}
  std::optional<DeletionVector> at(int64_t row) const {
    if (!column_.has(row)) return std::nullopt;
    auto storage = storage_.at(row);
    if (!storage) return std::nullopt;  // writers that have no null structs
    DeletionVector vector{.storage = std::move(*storage),
                          .path_or_inline = path_.at(row).value_or(""),
                          .offset = {},
                          .bytes = static_cast<int32_t>(bytes_.at(row).value_or(0)),
                          .cardinality = cardinality_.at(row).value_or(0)};
    if (const auto offset = offset_.at(row)) vector.offset = static_cast<int32_t>(*offset);
    return vector;
  }

 private:
  ActionColumn column_;
  TextColumn storage_, path_;
  NumberColumn offset_, bytes_, cardinality_;
};

Result<void> TakeAdds(const ActionColumn& column, int64_t rows, FileSink& sink) {
  const TextColumn path(column.field("path"));
  const TextColumn stats(column.field("stats"));
  const NumberColumn size(column.field("size"));
  const NumberColumn modified(column.field("modificationTime"));
  const TextMapColumn partition(column.field("partitionValues"));
  const TextMapColumn tags(column.field("tags"));
  const DeletionVectorColumn vector(column.field("deletionVector"));
  for (int64_t row = 0; row < rows; ++row) {
    if (!column.has(row)) continue;
    const auto logged = path.at(row);
    if (!logged) continue;  // writers that have no null structs
    const auto bytes = size.at(row);
    if (!bytes || *bytes < 0) return Missing("size");
    HR_TRY(std::string decoded, TablePath(*logged));
    AddFile add{.path = std::move(decoded),
                .size = static_cast<uint64_t>(*bytes),
                .modified_ms = modified.at(row).value_or(0),
                .stats = stats.at(row).value_or("")};
    add.rows = RowsInStats(add.stats);
    add.partition_values = partition.at(row);
    add.deletion_vector = vector.at(row);
    for (auto& [name, value] : tags.at(row)) {
      if (name == kChecksumTag) {
        add.checksum = ParseChecksum(value.value_or(""));
      } else if (value) {
        add.tags.emplace_back(name, *value);
      }
    }
    HR_TRY_VOID(sink.Add(std::move(add)));
  }
  return {};
}

Result<void> TakeRemoves(const ActionColumn& column, int64_t rows, FileSink& sink) {
  const TextColumn path(column.field("path"));
  const NumberColumn deleted(column.field("deletionTimestamp"));
  const BoolColumn data_change(column.field("dataChange"));
  const BoolColumn extended(column.field("extendedFileMetadata"));
  const NumberColumn size(column.field("size"));
  const TextMapColumn partition(column.field("partitionValues"));
  const DeletionVectorColumn vector(column.field("deletionVector"));
  for (int64_t row = 0; row < rows; ++row) {
    if (!column.has(row)) continue;
    const auto logged = path.at(row);
    if (!logged) continue;
    HR_TRY(std::string decoded, TablePath(*logged));
    RemoveFile remove{.path = std::move(decoded),
                      .deleted_ms = deleted.at(row),
                      .data_change = data_change.at(row, true),
                      .extended = extended.at(row, false),
                      .partition_values = partition.at(row),
                      .size = {},
                      .deletion_vector = vector.at(row)};
    if (const auto bytes = size.at(row)) remove.size = static_cast<uint64_t>(*bytes);
    HR_TRY_VOID(sink.Remove(std::move(remove)));
  }
  return {};
}

Result<void> TakeMetadata(const ActionColumn& column, int64_t rows, Commit& head) {
  for (int64_t row = 0; row < rows; ++row) {
    if (!column.has(row)) continue;
    const auto text = [&](const char* name) { return TextColumn(column.field(name)).at(row); };
    auto id = text("id");
    if (!id) continue;
    auto schema = text("schemaString");
    if (!schema) return Missing("schemaString");
    Metadata metadata{.id = std::move(*id),
                      .name = text("name").value_or(""),
                      .description = text("description").value_or(""),
                      .schema_string = std::move(*schema),
                      .partition_columns = TextsAt(column.field("partitionColumns"), row),
                      .configuration = TextMapColumn(column.field("configuration")).texts(row),
                      .created_ms = NumberColumn(column.field("createdTime")).at(row)};
    if (const ActionColumn format(column.field("format")); format.has(row)) {
      metadata.provider = TextColumn(format.field("provider")).at(row).value_or("parquet");
      metadata.options = TextMapColumn(format.field("options")).texts(row);
    }
    head.metadata = std::move(metadata);
  }
  return {};
}

Result<void> TakeProtocol(const ActionColumn& column, int64_t rows, Commit& head) {
  for (int64_t row = 0; row < rows; ++row) {
    if (!column.has(row)) continue;
    const auto reader = NumberColumn(column.field("minReaderVersion")).at(row);
    const auto writer = NumberColumn(column.field("minWriterVersion")).at(row);
    if (!reader && !writer) continue;
    if (!reader || !writer) return Missing("version");
    const auto lacks = [&](const char* name) {
      const ArrayRef list = column.field(name);
      return list == nullptr || list->IsNull(row);
    };
    head.protocol =
        Protocol{.reader_version = static_cast<int>(*reader),
                 .writer_version = static_cast<int>(*writer),
                 .reader_features = TextsAt(column.field("readerFeatures"), row),
                 .writer_features = TextsAt(column.field("writerFeatures"), row),
                 .reader_features_missing = *reader >= kFeaturesReader && lacks("readerFeatures"),
                 .writer_features_missing = *writer >= kFeaturesWriter && lacks("writerFeatures")};
  }
  return {};
}

Result<void> TakeTransactions(const ActionColumn& column, int64_t rows, Commit& head) {
  const TextColumn application(column.field("appId"));
  const NumberColumn version(column.field("version"));
  const NumberColumn updated(column.field("lastUpdated"));
  for (int64_t row = 0; row < rows; ++row) {
    auto id = column.has(row) ? application.at(row) : std::nullopt;
    if (!id) continue;
    const auto number = version.at(row);
    if (!number) return Missing("version");
    head.transactions.push_back({std::move(*id), static_cast<uint64_t>(*number), updated.at(row)});
  }
  return {};
}

void TakeNames(const ActionColumn& column, const char* field, int64_t rows,
               std::vector<std::string>& names) {
  const TextColumn text(column.field(field));
  const BoolColumn removed(column.field("removed"));
  for (int64_t row = 0; row < rows; ++row) {
    auto name = column.has(row) ? text.at(row) : std::nullopt;
    if (name && !removed.at(row, false)) names.push_back(std::move(*name));
  }
}

enum class Kind : uint8_t { kStruct, kText, kTexts, kTextMap, kNumber, kBool };

struct KnownColumn {
  std::string_view action;
  std::string_view field;  // of the action; empty: the action itself
  std::string_view below;  // of the field, when it is a struct
  Kind kind = Kind::kText;
};

// Every column that is looked at above, a struct before its fields.
constexpr auto kKnownColumns = std::to_array<KnownColumn>({
    {"protocol", "", "", Kind::kStruct},
    {"protocol", "minReaderVersion", "", Kind::kNumber},
    {"protocol", "minWriterVersion", "", Kind::kNumber},
    {"protocol", "readerFeatures", "", Kind::kTexts},
    {"protocol", "writerFeatures", "", Kind::kTexts},
    {"metaData", "", "", Kind::kStruct},
    {"metaData", "id", "", Kind::kText},
    {"metaData", "name", "", Kind::kText},
    {"metaData", "description", "", Kind::kText},
    {"metaData", "schemaString", "", Kind::kText},
    {"metaData", "partitionColumns", "", Kind::kTexts},
    {"metaData", "configuration", "", Kind::kTextMap},
    {"metaData", "createdTime", "", Kind::kNumber},
    {"metaData", "format", "", Kind::kStruct},
    {"metaData", "format", "provider", Kind::kText},
    {"metaData", "format", "options", Kind::kTextMap},
    {"txn", "", "", Kind::kStruct},
    {"txn", "appId", "", Kind::kText},
    {"txn", "version", "", Kind::kNumber},
    {"txn", "lastUpdated", "", Kind::kNumber},
    {"domainMetadata", "", "", Kind::kStruct},
    {"domainMetadata", "domain", "", Kind::kText},
    {"domainMetadata", "removed", "", Kind::kBool},
    {"sidecar", "", "", Kind::kStruct},
    {"sidecar", "path", "", Kind::kText},
    {"add", "", "", Kind::kStruct},
    {"add", "path", "", Kind::kText},
    {"add", "stats", "", Kind::kText},
    {"add", "size", "", Kind::kNumber},
    {"add", "modificationTime", "", Kind::kNumber},
    {"add", "partitionValues", "", Kind::kTextMap},
    {"add", "tags", "", Kind::kTextMap},
    {"add", "deletionVector", "", Kind::kStruct},
    {"add", "deletionVector", "storageType", Kind::kText},
    {"add", "deletionVector", "pathOrInlineDv", Kind::kText},
    {"add", "deletionVector", "offset", Kind::kNumber},
    {"add", "deletionVector", "sizeInBytes", Kind::kNumber},
    {"add", "deletionVector", "cardinality", Kind::kNumber},
    {"remove", "", "", Kind::kStruct},
    {"remove", "path", "", Kind::kText},
    {"remove", "deletionTimestamp", "", Kind::kNumber},
    {"remove", "dataChange", "", Kind::kBool},
    {"remove", "extendedFileMetadata", "", Kind::kBool},
    {"remove", "size", "", Kind::kNumber},
    {"remove", "partitionValues", "", Kind::kTextMap},
    {"remove", "deletionVector", "", Kind::kStruct},
    {"remove", "deletionVector", "storageType", Kind::kText},
    {"remove", "deletionVector", "pathOrInlineDv", Kind::kText},
    {"remove", "deletionVector", "offset", Kind::kNumber},
    {"remove", "deletionVector", "sizeInBytes", Kind::kNumber},
    {"remove", "deletionVector", "cardinality", Kind::kNumber},
});

bool Is(Kind kind, const arrow::DataType& type) {
  using arrow::Type;
  if (type.id() == Type::NA) return true;  // all null
  switch (kind) {
    case Kind::kStruct: return type.id() == Type::STRUCT;
    case Kind::kText:
      switch (type.id()) {
        case Type::STRING:
        case Type::BINARY:
        case Type::LARGE_STRING:
        case Type::LARGE_BINARY:
        case Type::STRING_VIEW:
        case Type::BINARY_VIEW: return true;
        case Type::DICTIONARY:
          return Is(kind, *static_cast<const arrow::DictionaryType&>(type).value_type());
        default: return false;
      }
    case Kind::kTexts:
      return (type.id() == Type::LIST || type.id() == Type::LARGE_LIST) &&
             Is(Kind::kText, *type.field(0)->type());
    case Kind::kTextMap: {
      if (type.id() != Type::MAP) return false;
      const auto& map = static_cast<const arrow::MapType&>(type);
      return Is(Kind::kText, *map.key_type()) && Is(Kind::kText, *map.item_type());
    }
    case Kind::kNumber: return type.id() == Type::INT64 || type.id() == Type::INT32;
    case Kind::kBool: return type.id() == Type::BOOL;
  }
  return false;
}

// What has another type would be read as null.
Result<void> CheckTypes(const arrow::RecordBatch& batch) {
  const auto whole = arrow::struct_(batch.schema()->fields());
  for (const KnownColumn& known : kKnownColumns) {
    std::shared_ptr<arrow::DataType> type = whole;
    std::string path;
    for (const std::string_view name : {known.action, known.field, known.below}) {
      if (name.empty() || type == nullptr || type->id() != arrow::Type::STRUCT) break;
      path += (path.empty() ? "" : ".") + std::string(name);
      const auto& above = static_cast<const arrow::StructType&>(*type);
      const std::vector<int> places = above.GetAllFieldIndices(std::string(name));
      if (places.size() > 1)
        return Fail(base::Error(ErrorCode::kCorruption, "a checkpoint has a column twice")
                        .With("column", path));
      type = places.empty() ? nullptr : above.field(places.front())->type();
    }
    if (type != nullptr && !Is(known.kind, *type))
      return Fail(base::Error(ErrorCode::kCorruption,
                              "a column of a checkpoint has a type that is none of its own: " +
                                  type->ToString())
                      .With("column", path));
  }
  return {};
}

}  // namespace

Result<void> TakeActions(const arrow::RecordBatch& batch, Commit& head, FileSink* sink) {
  HR_TRY_VOID(CheckTypes(batch));
  const int64_t rows = batch.num_rows();
  const auto column = [&](const char* name) { return ActionColumn(batch.GetColumnByName(name)); };
  HR_TRY_VOID(TakeProtocol(column("protocol"), rows, head));
  HR_TRY_VOID(TakeMetadata(column("metaData"), rows, head));
  HR_TRY_VOID(TakeTransactions(column("txn"), rows, head));
  TakeNames(column("domainMetadata"), "domain", rows, head.domains);
  TakeNames(column("sidecar"), "path", rows, head.sidecars);
  if (sink == nullptr) return {};
  HR_TRY_VOID(TakeAdds(column("add"), rows, *sink));
  return TakeRemoves(column("remove"), rows, *sink);
}

bool IsActionColumn(const std::vector<std::string>& path, bool with_files) {
  constexpr std::array<std::string_view, 5> kHead = {"protocol", "metaData", "txn",
                                                     "domainMetadata", "sidecar"};
  constexpr std::array<std::string_view, 7> kAdd = {
      "path", "partitionValues", "size", "modificationTime", "stats", "tags", "deletionVector"};
  constexpr std::array<std::string_view, 7> kRemove = {
      "path", "deletionTimestamp", "dataChange",    "extendedFileMetadata",
      "size", "partitionValues",   "deletionVector"};
  const auto among = [&](const auto& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  };
  if (among(kHead, path[0])) return true;
  if (!with_files || (path[0] != "add" && path[0] != "remove")) return false;
  // One that is no struct is read, too: it is found to be of the wrong type then.
  const bool is_struct = path.size() > 1 && path[1] != "list" && path[1] != "key_value";
  return !is_struct || (path[0] == "add" ? among(kAdd, path[1]) : among(kRemove, path[1]));
}

}  // namespace headrace::tables::delta
