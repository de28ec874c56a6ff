#pragma once
// Reads the token file again when it changes, once a second: a token whose line is removed is
// nobody's from then on.

#include <memory>
#include <string>

#include "access/access_list.h"
#include "env/environment.h"

namespace headrace::wiring {

// On a thread of its own. The list and the environment outlive it.
class TokenWatch {
 public:
  TokenWatch(env::Environment& environment, access::AccessList& list);
  ~TokenWatch();

 private:
  void Look();

  env::Clock& clock_;
  access::AccessList& list_;
  std::string said_;  // the error that was logged last
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace headrace::wiring
