"""How a recorded gradient is put together: parameters, steps, and what each contributes. The comparer and the doctor
read it.
"""
