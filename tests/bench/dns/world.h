/*
 * world.h - the catalogue of the DNS benchmark, for the server that loads it
 * and for the zone file of the servers it is compared with.
 *
 * a<i>.service: one instance; three<i>, twenty<i>: so many, each with an
 * address of its own, hence SRV records with that many additional A records.
 */
#pragma once

#define WORLD_SINGLES  1000
#define WORLD_THREES   100
#define WORLD_TWENTIES 20
#define WORLD_DOMAIN   "muster.internal."
