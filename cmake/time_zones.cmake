# The time-zone database of the pinned tzdata wheel, as a source in the build folder. It lies beside pyarrow unless
# HEADRACE_TZDATA_DIR says where else.
set(HEADRACE_TZDATA_DIR "" CACHE PATH "Folder of the installed tzdata package; empty: beside that of pyarrow")
find_package(Python3 3.11 REQUIRED COMPONENTS Interpreter)

function(headrace_add_time_zones target)
  set(folder ${HEADRACE_TZDATA_DIR})
  if(NOT folder)
    get_filename_component(folder ${HEADRACE_ARROW_DIR}/../tzdata ABSOLUTE)
  endif()
  if(NOT EXISTS ${folder}/zones)
    message(FATAL_ERROR "No time zones: '${folder}' holds no tzdata package. Run ./dev build, which installs it.")
  endif()
  set(source ${CMAKE_BINARY_DIR}/generated/zone_table.cc)
  add_custom_command(OUTPUT ${source}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/pack_time_zones.py ${folder} ${source}
    DEPENDS ${CMAKE_SOURCE_DIR}/tools/pack_time_zones.py ${folder}/__init__.py ${folder}/zones
    COMMENT "Packing time zones")
  target_sources(${target} PRIVATE ${source})
endfunction()
