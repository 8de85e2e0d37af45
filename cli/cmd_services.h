/* cmd_services.h - `muster services`: the catalogue, or one service of it. */
#pragma once

int cmd_services(int argc, char **argv);
