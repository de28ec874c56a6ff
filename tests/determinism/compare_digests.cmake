# Runs FIRST as it is and SECOND under glibc's TUNABLES (may be empty); fails when they print different digests, or none,
# or another one than GOLDEN (may be empty).
execute_process(COMMAND ${FIRST} OUTPUT_VARIABLE first RESULT_VARIABLE first_result)
execute_process(COMMAND ${CMAKE_COMMAND} -E env GLIBC_TUNABLES=${TUNABLES} ${SECOND}
                OUTPUT_VARIABLE second RESULT_VARIABLE second_result)
if(NOT first_result EQUAL 0 OR NOT second_result EQUAL 0)
  message(FATAL_ERROR "a digest could not be made: ${first_result}, ${second_result}")
endif()
if(NOT first MATCHES "digest [0-9a-f]+" OR NOT first STREQUAL second)
  message(FATAL_ERROR "${FIRST} printed\n${first}${SECOND} printed\n${second}")
endif()
if(GOLDEN AND NOT first MATCHES "digest ${GOLDEN}")
  message(FATAL_ERROR "the golden digest is ${GOLDEN}; printed was\n${first}")
endif()
message(STATUS "both printed ${first}")
