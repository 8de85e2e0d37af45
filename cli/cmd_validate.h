/* cmd_validate.h - `muster validate`: would an agent take these files? */
#pragma once

int cmd_validate(int argc, char **argv);
