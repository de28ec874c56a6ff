# Arrow, Parquet and Flight: a system Arrow if there is one, else the headers and libraries of the pinned pyarrow wheel.
# Defines headrace_parquet (Arrow + Parquet) and headrace_flight (Arrow + Flight).
add_library(headrace_parquet INTERFACE)
add_library(headrace_flight INTERFACE)

find_package(Arrow QUIET)
find_package(Parquet QUIET)
find_package(ArrowFlight QUIET)
if(Arrow_FOUND AND Parquet_FOUND AND ArrowFlight_FOUND)
  message(STATUS "Arrow: system ${ARROW_VERSION}")
  target_link_libraries(headrace_parquet INTERFACE Arrow::arrow_shared Parquet::parquet_shared)
  target_link_libraries(headrace_flight INTERFACE Arrow::arrow_shared ArrowFlight::arrow_flight_shared)
else()
  set(HEADRACE_ARROW_DIR "" CACHE PATH "Folder of the installed pyarrow package (./dev sets it)")
  file(GLOB arrow_library ${HEADRACE_ARROW_DIR}/libarrow.so.*)
  if(NOT arrow_library)
    message(FATAL_ERROR "No Arrow: HEADRACE_ARROW_DIR='${HEADRACE_ARROW_DIR}' holds no libarrow.so.N. Run ./dev build, which installs it.")
  endif()
  get_filename_component(arrow_extension ${arrow_library} NAME)
  string(REPLACE "libarrow.so." "" arrow_soversion ${arrow_extension})
  message(STATUS "Arrow: pyarrow wheel, libarrow.so.${arrow_soversion}")
  foreach(target headrace_parquet headrace_flight)
    target_include_directories(${target} SYSTEM INTERFACE ${HEADRACE_ARROW_DIR}/include)
    target_link_directories(${target} INTERFACE ${HEADRACE_ARROW_DIR})
    target_link_options(${target} INTERFACE -Wl,-rpath,${HEADRACE_ARROW_DIR})
  endforeach()
  # The wheel's libparquet exports a simdjson of its own, of another version under the same names: whichever is loaded first is used
  # by all, and a mixture crashes. Ours goes first; Parquet needs its own only for JSON that we never give it (encryption keys,
  # coordinate systems of geometry columns).
  add_link_options(LINKER:--push-state,--no-as-needed -lsimdjson LINKER:--pop-state)
  target_link_libraries(headrace_parquet INTERFACE -l:libarrow.so.${arrow_soversion} -l:libparquet.so.${arrow_soversion})
  target_link_libraries(headrace_flight INTERFACE -l:libarrow.so.${arrow_soversion} -l:libarrow_flight.so.${arrow_soversion})
endif()
