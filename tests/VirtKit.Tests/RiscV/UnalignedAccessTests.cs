using VirtKit.RiscV;
using VirtKit.Tests.RiscV.Support;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.RiscV;

/// <summary>Loads and stores at every offset around a page's end, whose second page lies elsewhere in memory: each form of lookup that an engine has for them (alone, in a loop, several with one
/// base, from a computed address), compared with bytes that the test moves itself.</summary>
public sealed class UnalignedAccessTests
{
    private const ulong First = 0x4000_0000, FirstPage = BareMachine.Ram + 0x10_0000, SecondPage = BareMachine.Ram + 0x18_0000;
    private const int Before = 24, Span = 48;

    private static readonly (string Name, int Bytes, bool IsSigned)[] Loads =
        [("lb", 1, true), ("lbu", 1, false), ("lh", 2, true), ("lhu", 2, false), ("lw", 4, true), ("lwu", 4, false), ("ld", 8, true), ("flw", 4, false), ("fld", 8, false)];

    private static readonly (string Name, int Bytes)[] Stores = [("sb", 1), ("sh", 2), ("sw", 4), ("sd", 8), ("fsw", 4), ("fsd", 8)];

    public static MatrixTheoryData<string, string> Forms => new(RiscVEngines.All, ["alone", "loop", "group", "computed"]);

    [Theory]
    [MemberData(nameof(Forms))]
    public void Load_AtAnyOffset_IsWhatTheBytesSay(string engine, string form)
    {
        foreach ((string name, int bytes, bool isSigned) in Loads)
        {
            using var guest = new Guest(engine, form, name, store: false);
            foreach (int at in Offsets(bytes))
            {
                ulong expected = 0;
                for (int i = bytes - 1; i >= 0; i--)
                    expected = expected << 8 | guest.Bytes[at + i];
                if (isSigned && bytes < 8)
                    expected = (ulong)((long)(expected << (64 - 8 * bytes)) >> (64 - 8 * bytes));
                Assert.True(expected == guest.Load(at), $"{name} {at - Before:+0;-0} from the page's end");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void Store_AtAnyOffset_ChangesItsBytesAndNoOthers(string engine, string form)
    {
        foreach ((string name, int bytes) in Stores)
        {
            using var guest = new Guest(engine, form, name, store: true);
            foreach (int at in Offsets(bytes))
            {
                byte[] expected = [.. guest.Bytes];
                BitConverter.GetBytes(0x8877_6655_4433_2211 + (ulong)at).AsSpan(0, bytes).CopyTo(expected.AsSpan(at));
                guest.Store(at, 0x8877_6655_4433_2211 + (ulong)at);
                Assert.True(expected.AsSpan().SequenceEqual(guest.Bytes), $"{name} {at - Before:+0;-0} from the page's end");
            }
        }
    }

    /// <summary>A loop that walks over the page's end: the page that its access reached last must not serve one that only ends there.</summary>
    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Loop_OverThePagesEnd_LoadsAndStoresWhatTheBytesSay(string engine)
    {
        foreach ((string name, int bytes, int step) in from a in ((string, int)[])[("h", 2), ("w", 4), ("d", 8)] from s in (int[])[-1, 1, -3, 5] select (a.Item1, a.Item2, s))
        {
            using var loads = new Guest(engine, $"again: l{name} a2, 0(a0)\nslli a3, a1, 5\nsub a1, a3, a1\nadd a1, a1, a2\naddi a0, a0, {step}\naddi a4, a4, -1\nbnez a4, again");
            using var stores = new Guest(engine, $"again: s{name} a1, 0(a0)\nadd a1, a1, a2\naddi a0, a0, {step}\naddi a4, a4, -1\nbnez a4, again");
            int count = (Span - bytes) / Math.Abs(step), first = step > 0 ? 0 : Span - bytes;
            byte[] source = loads.Bytes, target = stores.Bytes;
            ulong sum = 0, value = 0x0123_4567_89ab_cdef, difference = 0x1f1f_2f2f_3f3f_5f5f;
            for (int i = 0, at = first; i < count; i++, at += step)
            {
                byte[] piece = new byte[8];
                source.AsSpan(at, bytes).CopyTo(piece);
                sum = sum * 31 + (ulong)(BitConverter.ToInt64(piece) << (64 - 8 * bytes) >> (64 - 8 * bytes));
                BitConverter.GetBytes(value + (ulong)i * difference).AsSpan(0, bytes).CopyTo(target.AsSpan(at));
            }

            Assert.True(sum == loads.Walk(first, 0, 0, count), $"l{name} by {step}");
            stores.Walk(first, value, difference, count);
            Assert.True(target.AsSpan().SequenceEqual(stores.Bytes), $"s{name} by {step}");
        }
    }

    /// <summary>An access that ends in the first page of the address space, or begins in the last, finds neither an empty entry nor the other's.</summary>
    [Theory]
    [MemberData(nameof(RiscVEngines.Names), MemberType = typeof(RiscVEngines))]
    public void Access_AroundTheEndOfTheAddressSpace_Faults(string engine)
    {
        using var m = new BareMachine(engine, "ld t0, 0(a0)\nwfi\nhandler: csrr s0, mcause\ncsrr s1, mtval\nwfi");
        foreach (ulong address in (ulong[])[ulong.MaxValue - 3, ulong.MaxValue - 6, ulong.MaxValue - 7, 0, 1, 0xffc])
        {
            RiscVState state = m.State;
            (state.Pc, state.X[10], state.Mtvec, state.Waiting) = (BareMachine.Ram, address, m["handler"], false);
            m.State = state;
            state = m.RunToWait();
            Assert.Equal((5UL, address), (state.X[8], state.X[9]));
        }
    }

    /// <summary>From both sides: what an engine keeps of an access in one page must not serve one that crosses into it.</summary>
    private static IEnumerable<int> Offsets(int bytes) => Enumerable.Range(0, Span - bytes + 1).Concat(Enumerable.Range(0, Span - bytes + 1).Reverse());

    /// <summary>A guest under Sv39 that makes one access at a time, a few times over, so that whatever an engine keeps of the first one serves the others.</summary>
    private sealed class Guest : IDisposable
    {
        private readonly BareMachine _machine;
        private readonly ulong _satp;

        public Guest(string engine, string form, string access, bool store)
            : this(engine, Code(form, access, store))
        {
        }

        public Guest(string engine, string code)
        {
            _machine = new BareMachine(engine, $"start: {code}\nli a6, 1\nwfi\nhandler: wfi");
            var tables = new PageTables(_machine, 3);
            tables.Map(BareMachine.Ram, BareMachine.Ram, PageTables.All, level: 2);
            tables.Map(First, FirstPage, PageTables.All);
            tables.Map(First + 0x1000, SecondPage, PageTables.All);
            _satp = tables.Satp;
            Write([.. Enumerable.Range(0, Span).Select(i => (byte)(0x81 + 5 * i))]);
        }

        private static string Code(string form, string access, bool store)
        {
            string register = access[0] == 'f' ? "fa0" : "a1";
            string one = $"{access} {register}, 0(a0)";
            string code = form switch
            {
                "loop" => $"li t0, 3\nagain: {one}\naddi t0, t0, -1\nbnez t0, again",
                // The others of the group lie on the side where the page is, or cross like it.
                "group" => store ? $"{one}\n{access} {register}, 0(a0)\n{access} {register}, 0(a0)" : $"{access} fa1, -16(a0)\n{one}\n{access} fa1, 16(a0)".Replace("fa1", access[0] == 'f' ? "fa1" : "a2", StringComparison.Ordinal),
                "computed" => $"add a3, a4, a5\n{access} {register}, 0(a3)",
                _ => one,
            };
            return access[0] == 'f' && !store ? $"{code}\nfmv.x.d a1, fa0" : code;
        }

        /// <summary>The bytes around the page's end, as the guest sees them.</summary>
        public byte[] Bytes
        {
            get
            {
                byte[] bytes = new byte[Span];
                _machine.Machine.Memory.Read(new Gpa(FirstPage + 0x1000 - Before), bytes.AsSpan(0, Before));
                _machine.Machine.Memory.Read(new Gpa(SecondPage), bytes.AsSpan(Before));
                return bytes;
            }
        }

        public ulong Load(int at)
        {
            RiscVState state = Run(at, 0);
            // A single-precision value is boxed.
            return state.X[11] >> 32 == 0xffff_ffff && state.F[10] == state.X[11] ? (uint)state.X[11] : state.X[11];
        }

        public void Store(int at, ulong value) => Run(at, value);

        /// <summary>Runs a loop once, and gives a1.</summary>
        public ulong Walk(int at, ulong a1, ulong a2, int count)
        {
            Prepare(First + 0x1000 - Before + (ulong)at, a1, a2, (ulong)count);
            RiscVState state = _machine.RunToWait();
            Assert.Equal(1UL, state.X[16]);
            return state.X[11];
        }

        public void Dispose() => _machine.Dispose();

        private RiscVState Run(int at, ulong value)
        {
            ulong address = First + 0x1000 - Before + (ulong)at;
            RiscVState state = default;
            for (int i = 0; i < 3; i++)
            {
                Prepare(address, value, 0, address - 5);
                state = _machine.RunToWait();
                Assert.Equal(1UL, state.X[16]);
            }

            return state;
        }

        private void Prepare(ulong address, ulong a1, ulong a2, ulong a4)
        {
            RiscVState state = _machine.State;
            (state.Pc, state.Waiting, state.Mstatus, state.X[16]) = (_machine["start"], false, state.Mstatus | 3 << 13, 0);
            (state.Privilege, state.Satp, state.PmpAddress[0], state.PmpConfiguration[0]) = (PrivilegeMode.Supervisor, _satp, ulong.MaxValue >> 10, 0x1f);
            (state.X[10], state.X[11], state.X[12], state.X[14], state.X[15]) = (address, a1, a2, a4, 5);
            state.F[10] = a1;
            _machine.State = state;
        }

        private void Write(byte[] bytes)
        {
            _machine.Machine.Memory.Write(new Gpa(FirstPage + 0x1000 - Before), bytes.AsSpan(0, Before));
            _machine.Machine.Memory.Write(new Gpa(SecondPage), bytes.AsSpan(Before));
        }
    }
}
