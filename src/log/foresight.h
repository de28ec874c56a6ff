#pragma once
// What the log would most likely decide about a batch, before it does: for answers that say that
// they are provisional.

#include <cstdint>

#include "base/ids.h"
#include "columns/event_batch.h"
#include "log/sequencer.h"

namespace headrace::log {

// Whether a batch, which has a source, has not been admitted to an epoch up to `epoch`, and is not
// known to be refused: it is new, or was admitted to a later epoch; its rows are neither late nor
// ahead. Decides nothing: others may come before it. Any thread.
bool WouldFollow(const Sequencer& sequencer, const columns::EventBatch& batch,
                 const StreamTiming& timing, base::EpochId epoch);

}  // namespace headrace::log
