# embed(TARGET PREFIX FILES...): the files' bytes as arrays in a header that the
# target's sources include as "PREFIX_content.h"; with the prefix "a/b/c" the array
# of x.css is c_x_css. Changed files are read again by the next build.
function(embed target prefix)
  get_filename_component(short ${prefix} NAME)
  set(text "/* Made by embed.cmake; not to be edited. */\n")
  foreach(file ${ARGN})
    set_property(
      DIRECTORY
      APPEND
      PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
    string(MAKE_C_IDENTIFIER ${short}_${file} name)
    string(APPEND text
           "static const unsigned char ${name}[] = {\n${bytes}\n};\n")
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/${prefix}_content.h
       CONTENT "${text}" @ONLY)
  target_include_directories(${target} PRIVATE ${PROJECT_BINARY_DIR})
endfunction()
