# One language level and one set of flags for every target.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")

add_compile_options(-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers)
# Results must not depend on the compiler's choice to fuse a multiply and an add (ARCHITECTURE.md, numbers).
add_compile_options(-ffp-contract=off)
# x86-64-v2 is what the Arrow wheel needs as well; wider vectors are chosen at run time, never assumed.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options(-march=x86-64-v2 -mtune=generic)
endif()

if(HEADRACE_SANITIZE)
  add_compile_options(-fsanitize=${HEADRACE_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${HEADRACE_SANITIZE})
endif()

# For tests/fuzz with clang: every file tells libFuzzer where it has been, and undefined behaviour ends
# the process. -O1 builds in two thirds of the time, and keeps more of what -O2 would fold away in sight.
if(HEADRACE_FUZZ)
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -g1")
  add_compile_options(-fsanitize=fuzzer-no-link -fno-sanitize-recover=undefined -fno-sanitize=vptr)
  add_link_options(-fno-sanitize=vptr)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()
