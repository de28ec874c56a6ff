#pragma once
// The one table of diagnostic codes: every complaint about a pipeline file or a contract has a row
// here, and docs/reference/errors.md is generated from it. Numbers are stable: never change or
// reuse one.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace headrace::contract {

enum class DiagnosticCode : uint16_t {
  // Any YAML file.
  kYamlSyntax = 101,
  kNotText = 102,
  kTooLarge = 103,
  kYamlFeature = 104,
  kDuplicateKey = 105,
  kKeyNotText = 106,
  kEmptyFile = 107,
  kUnknownKey = 110,
  kMissingKey = 111,
  kWrongShape = 112,
  kWrongValue = 113,
  kBadNumber = 114,
  kBadDuration = 115,
  kBadName = 116,
  // Contracts.
  kContractVersion = 130,
  kContractObject = 131,
  kUnknownType = 132,
  kTypeNotHere = 133,
  kTypeContradiction = 134,
  kUnknownRule = 135,
  kRuleContradiction = 136,
  kBadPattern = 137,
  kBadBound = 138,
  kDuplicateField = 139,
  kReservedName = 140,
  kRuleNotEnforced = 141,
  // The pipeline file.
  kFileVersion = 201,
  kNotInThisVersion = 202,
  kPromiseInfeasible = 203,
  kPromiseShape = 204,
  kMemoryExceeded = 205,
  kUnknownStream = 210,
  kUnknownView = 211,
  kUnknownFeature = 212,
  kUnknownService = 213,
  kUnknownColumn = 214,
  kContractContradictsView = 215,
  kTimeField = 216,
  kExpressionSyntax = 217,
  kExpressionType = 218,
  kUnknownFunction = 219,
  kUnknownAggregate = 220,
  kAggregateArgument = 221,
  kFeatureText = 222,
  kWindow = 223,
  kLifetimeView = 224,
  kNameTaken = 225,
  kCommaInFlowMap = 226,
  kKeyField = 227,
  kConditionNotBool = 228,
  kArrived = 229,
  kContractUnreadable = 230,
  kFunctionNotHere = 231,
  kNothingToServe = 232,
  kHistoryNotRead = 233,
  kTooMany = 234,
  kZOrder = 235,
  kDerivedStream = 240,
  kJoin = 241,
};

struct DiagnosticRow {
  DiagnosticCode code;
  std::string_view title;  // "Unknown column"
  std::string_view says;   // what it means
  std::string_view mend;   // what to do
};

// Ascending by code.
std::span<const DiagnosticRow> DiagnosticTable();
const DiagnosticRow& RowOf(DiagnosticCode code);

// "HR0214".
std::string CodeText(DiagnosticCode code);
// The code of an error at run time, for problem+json and the command line: "HR0900" + its place in
// base::ErrorCodes().
std::string CodeText(base::ErrorCode code);

// docs/reference/errors.md as it must be committed.
std::string ErrorsReference();

}  // namespace headrace::contract
