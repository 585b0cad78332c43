"""What a resident may ask for (个人信息保护法 44-50): a copy, who looked, restriction, erasure."""
