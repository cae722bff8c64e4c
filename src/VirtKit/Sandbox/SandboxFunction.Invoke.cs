namespace VirtKit.Sandboxing;

public sealed partial class SandboxFunction
{
    /// <summary>Calls the function.</summary>
    /// <typeparam name="TResult">What it returns: a number, <see cref="Gva"/>, <see cref="string"/> (a <c>const char *</c>), a structure, or bytes as an array, memory or span (a structure
    /// of a pointer and a length, <c>virtkit_bytes</c>). A span is a view of the guest's memory, good until the next call.</typeparam>
    /// <returns>What it returned.</returns>
    /// <exception cref="SandboxTrapException">The guest did what it may not do.</exception>
    /// <exception cref="SandboxLimitException">A limit was reached.</exception>
    /// <exception cref="SandboxException">The guest ended itself.</exception>
    /// <exception cref="InvalidOperationException">Another call is under way, or the last one failed and <see cref="Sandbox.Reset()"/> was not called since.</exception>
    /// <exception cref="ObjectDisposedException">The sandbox has been disposed of.</exception>
    public TResult Invoke<TResult>()
        where TResult : allows ref struct
    {
        var call = new GuestCall(_sandbox);
        try
        {
            call.Begin<TResult>();
            call.Run(this);
            return call.Result<TResult>();
        }
        finally
        {
            call.Dispose();
        }
    }

    /// <inheritdoc cref="Invoke{TResult}()"/>
    public TResult Invoke<TResult, T1>(scoped T1 argument1)
        where TResult : allows ref struct
        where T1 : allows ref struct
    {
        var call = new GuestCall(_sandbox);
        try
        {
            call.Begin<TResult>();
            call.Add(argument1);
            call.Run(this);
            call.CopyBack(ref argument1);
            return call.Result<TResult>();
        }
        finally
        {
            call.Dispose();
        }
    }

    /// <inheritdoc cref="Invoke{TResult}()"/>
    public TResult Invoke<TResult, T1, T2>(scoped T1 argument1, scoped T2 argument2)
        where TResult : allows ref struct
        where T1 : allows ref struct
        where T2 : allows ref struct
    {
        var call = new GuestCall(_sandbox);
        try
        {
            call.Begin<TResult>();
            call.Add(argument1);
            call.Add(argument2);
            call.Run(this);
            call.CopyBack(ref argument1);
            call.CopyBack(ref argument2);
            return call.Result<TResult>();
        }
        finally
        {
            call.Dispose();
        }
    }

    /// <inheritdoc cref="Invoke{TResult}()"/>
    public TResult Invoke<TResult, T1, T2, T3>(scoped T1 argument1, scoped T2 argument2, scoped T3 argument3)
        where TResult : allows ref struct
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
    {
        var call = new GuestCall(_sandbox);
        try
        {
            call.Begin<TResult>();
            call.Add(argument1);
            call.Add(argument2);
            call.Add(argument3);
            call.Run(this);
            call.CopyBack(ref argument1);
            call.CopyBack(ref argument2);
            call.CopyBack(ref argument3);
            return call.Result<TResult>();
        }
        finally
        {
            call.Dispose();
        }
    }

    /// <inheritdoc cref="Invoke{TResult}()"/>
    public TResult Invoke<TResult, T1, T2, T3, T4>(scoped T1 argument1, scoped T2 argument2, scoped T3 argument3, scoped T4 argument4)
        where TResult : allows ref struct
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct
    {
        var call = new GuestCall(_sandbox);
        try
        {
            call.Begin<TResult>();
            call.Add(argument1);
            call.Add(argument2);
            call.Add(argument3);
            call.Add(argument4);
            call.Run(this);
            call.CopyBack(ref argument1);
            call.CopyBack(ref argument2);
            call.CopyBack(ref argument3);
            call.CopyBack(ref argument4);
            return call.Result<TResult>();
        }
        finally
        {
            call.Dispose();
        }
    }

    /// <inheritdoc cref="Invoke{TResult}()"/>
    public TResult Invoke<TResult, T1, T2, T3, T4, T5>(scoped T1 argument1, scoped T2 argument2, scoped T3 argument3, scoped T4 argument4, scoped T5 argument5)
        where TResult : allows ref struct
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct
        where T5 : allows ref struct
    {
        var call = new GuestCall(_sandbox);
        try
        {
            call.Begin<TResult>();
            call.Add(argument1);
            call.Add(argument2);
            call.Add(argument3);
            call.Add(argument4);
            call.Add(argument5);
            call.Run(this);
            call.CopyBack(ref argument1);
            call.CopyBack(ref argument2);
            call.CopyBack(ref argument3);
            call.CopyBack(ref argument4);
            call.CopyBack(ref argument5);
            return call.Result<TResult>();
        }
        finally
        {
            call.Dispose();
        }
    }

    /// <inheritdoc cref="Invoke{TResult}()"/>
    public TResult Invoke<TResult, T1, T2, T3, T4, T5, T6>(scoped T1 argument1, scoped T2 argument2, scoped T3 argument3, scoped T4 argument4, scoped T5 argument5, scoped T6 argument6)
        where TResult : allows ref struct
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct
        where T5 : allows ref struct
        where T6 : allows ref struct
    {
        var call = new GuestCall(_sandbox);
        try
        {
            call.Begin<TResult>();
            call.Add(argument1);
            call.Add(argument2);
            call.Add(argument3);
            call.Add(argument4);
            call.Add(argument5);
            call.Add(argument6);
            call.Run(this);
            call.CopyBack(ref argument1);
            call.CopyBack(ref argument2);
            call.CopyBack(ref argument3);
            call.CopyBack(ref argument4);
            call.CopyBack(ref argument5);
            call.CopyBack(ref argument6);
            return call.Result<TResult>();
        }
        finally
        {
            call.Dispose();
        }
    }

    /// <summary>Calls the function, which returns nothing.</summary>
    /// <inheritdoc cref="Invoke{TResult}()"/>
    public void Invoke() => Invoke<Nothing>();

    /// <inheritdoc cref="Invoke()"/>
    public void Invoke<T1>(scoped T1 argument1)
        where T1 : allows ref struct => Invoke<Nothing, T1>(argument1);

    /// <inheritdoc cref="Invoke()"/>
    public void Invoke<T1, T2>(scoped T1 argument1, scoped T2 argument2)
        where T1 : allows ref struct
        where T2 : allows ref struct => Invoke<Nothing, T1, T2>(argument1, argument2);

    /// <inheritdoc cref="Invoke()"/>
    public void Invoke<T1, T2, T3>(scoped T1 argument1, scoped T2 argument2, scoped T3 argument3)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct => Invoke<Nothing, T1, T2, T3>(argument1, argument2, argument3);

    /// <inheritdoc cref="Invoke()"/>
    public void Invoke<T1, T2, T3, T4>(scoped T1 argument1, scoped T2 argument2, scoped T3 argument3, scoped T4 argument4)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct => Invoke<Nothing, T1, T2, T3, T4>(argument1, argument2, argument3, argument4);

    /// <inheritdoc cref="Invoke()"/>
    public void Invoke<T1, T2, T3, T4, T5>(scoped T1 argument1, scoped T2 argument2, scoped T3 argument3, scoped T4 argument4, scoped T5 argument5)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct
        where T5 : allows ref struct => Invoke<Nothing, T1, T2, T3, T4, T5>(argument1, argument2, argument3, argument4, argument5);

    /// <inheritdoc cref="Invoke()"/>
    public void Invoke<T1, T2, T3, T4, T5, T6>(scoped T1 argument1, scoped T2 argument2, scoped T3 argument3, scoped T4 argument4, scoped T5 argument5, scoped T6 argument6)
        where T1 : allows ref struct
        where T2 : allows ref struct
        where T3 : allows ref struct
        where T4 : allows ref struct
        where T5 : allows ref struct
        where T6 : allows ref struct => Invoke<Nothing, T1, T2, T3, T4, T5, T6>(argument1, argument2, argument3, argument4, argument5, argument6);
}
