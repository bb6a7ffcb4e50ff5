// Only here so that the precompiled headers have an owner.
