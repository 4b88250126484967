//! Walks all routes as nobody, and says which let nobody in without saying so.
