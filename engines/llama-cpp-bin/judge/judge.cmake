# Adds the judge to a build of llama.cpp: CMake includes this file right after project("llama.cpp")
# when it is named in CMAKE_PROJECT_llama.cpp_INCLUDE. The target is added at the end of the top
# folder's configuration, when the libraries that it links exist.

# A deferred call does not see CMAKE_CURRENT_LIST_DIR.
set(BERTH_JUDGE_DIR "${CMAKE_CURRENT_LIST_DIR}" CACHE INTERNAL "")

function(berth_add_judge)
  add_executable(berth-judge "${BERTH_JUDGE_DIR}/judge.cpp" "${BERTH_JUDGE_DIR}/stand_in.cpp")
  # ggml/src and src have the declarations for backends and for the breakdown of memory.
  target_include_directories(berth-judge PRIVATE "${CMAKE_SOURCE_DIR}/ggml/src" "${CMAKE_SOURCE_DIR}/src")
  target_link_libraries(berth-judge PRIVATE llama-common mtmd llama ggml)
  set_target_properties(berth-judge PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
endfunction()

cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL berth_add_judge)
