"""Talks (约谈) and listed supervision (挂牌督办): proposed by rules, called, answered, lifted."""
