#include "tables/delta/log_state.h"

namespace headrace::tables::delta {

void LogState::Apply(const Commit& commit) {
  ++version;
  if (commit.ours) newest_ours = version;
  if (commit.protocol) protocol = commit.protocol;
  if (commit.metadata) metadata = commit.metadata;
  for (const Transaction& txn : commit.transactions) transactions[txn.application] = txn;
  for (const std::string& domain : commit.domains) domains.insert(domain);
  if (version == 0) sums.emplace();
  // Others may add a file again, or remove one without telling its size.
  if (!commit.ours && !(commit.adds.empty() && commit.removes.empty())) sums.reset();
  if (!sums) return;
  for (const AddFile& add : commit.adds) {
    ++sums->files;
    sums->bytes += add.size;
  }
  for (const RemoveFile& remove : commit.removes) {  // ours tell the size
    --sums->files;
    sums->bytes -= remove.size.value_or(0);
  }
}

}  // namespace headrace::tables::delta
