# Flags that every room is built with, and the one way to declare a room.

add_library(muster_plain INTERFACE)
target_include_directories(muster_plain INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(muster_plain INTERFACE _GNU_SOURCE)
target_compile_options(
  muster_plain
  INTERFACE -Wall
            -Wextra
            -Wshadow
            -Wvla
            -Wswitch-enum
            -Wstrict-prototypes
            -Wmissing-prototypes
            -Wpointer-arith
            -Wwrite-strings
            -Wformat=2
            # clang would also complain of uthash's macros.
            $<$<C_COMPILER_ID:GNU>:-Wimplicit-fallthrough>
            -fno-strict-aliasing
            -fno-omit-frame-pointer
            -fstack-protector-strong)
# When memory is gone uthash calls exit(), as after a normal end. Abort, as CHECK.
target_compile_options(muster_plain INTERFACE "-Duthash_fatal(text)=abort()")
if(MUSTER_WERROR)
  target_compile_options(muster_plain INTERFACE -Werror)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_definitions(muster_plain INTERFACE _FORTIFY_SOURCE=2)
endif()
# With what a preset adds for finding mistakes.
add_library(muster_flags INTERFACE)
target_link_libraries(muster_flags INTERFACE muster_plain)
if(MUSTER_SANITIZE)
  target_compile_options(muster_flags INTERFACE -O1
                                                -fsanitize=${MUSTER_SANITIZE})
  target_link_options(muster_flags INTERFACE -fsanitize=${MUSTER_SANITIZE})
  if(MUSTER_SANITIZE MATCHES "undefined")
    target_compile_options(muster_flags INTERFACE -fno-sanitize-recover=all)
  endif()
endif()
if(MUSTER_FUZZ)
  target_compile_options(muster_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# room(NAME SOURCES... [DEPS targets...]): one library a folder.
function(room name)
  cmake_parse_arguments(R "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${R_SOURCES})
  target_link_libraries(${name} PUBLIC muster_flags ${R_DEPS})
endfunction()

# fast_copy(NAME LIBRARIES...): the sources of those libraries once more, as one
# library that is optimised and has no sanitizers, whatever the preset.
function(fast_copy name)
  foreach(library ${ARGN})
    get_target_property(files ${library} SOURCES)
    get_target_property(folder ${library} SOURCE_DIR)
    list(TRANSFORM files PREPEND ${folder}/)
    list(APPEND all ${files})
  endforeach()
  add_library(${name} STATIC ${all})
  target_compile_options(${name} PRIVATE -O2)
  target_link_libraries(${name} PUBLIC muster_plain)
endfunction()

# unit_tests(ROOM DEPS targets...): every test_*.c of this folder is one program
# and one ctest entry, "unit.<module>".
function(unit_tests)
  cmake_parse_arguments(U "" "" "DEPS" ${ARGN})
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/test_*.c)
  foreach(file ${files})
    get_filename_component(stem ${file} NAME_WE)
    string(REGEX REPLACE "^test_" "" module ${stem})
    add_executable(${stem} ${file})
    target_link_libraries(${stem} PRIVATE ${U_DEPS} unit_check)
    add_test(NAME unit.${module} COMMAND ${stem})
    set_tests_properties(unit.${module} PROPERTIES TIMEOUT 300 LABELS unit)
  endforeach()
endfunction()

# fuzz_target(NAME DEPS targets...): fuzz_NAME.c of this folder. Everywhere, a
# program that replays corpus/NAME as the test "fuzz.NAME"; with MUSTER_FUZZ, the
# libFuzzer program "fuzz_NAME" too.
function(fuzz_target name)
  cmake_parse_arguments(F "" "" "DEPS" ${ARGN})
  add_executable(replay_${name} fuzz_${name}.c replay.c)
  target_link_libraries(replay_${name} PRIVATE ${F_DEPS})
  add_test(NAME fuzz.${name}
           COMMAND replay_${name} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
  set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
  if(MUSTER_FUZZ)
    add_executable(fuzz_${name} fuzz_${name}.c)
    target_link_libraries(fuzz_${name} PRIVATE ${F_DEPS})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()
